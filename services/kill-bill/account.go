package killbill

import (
	"regexp"
	"time"
	"unicode/utf8"
)

// account is Kill Bill's AccountJson: every property is always written, absent ones as null.
type account struct {
	AccountID                  string  `json:"accountId"`
	Name                       *string `json:"name"`
	FirstNameLength            *int    `json:"firstNameLength"`
	ExternalKey                string  `json:"externalKey"`
	Email                      *string `json:"email"`
	BillCycleDayLocal          *int    `json:"billCycleDayLocal"`
	Currency                   *string `json:"currency"`
	ParentAccountID            *string `json:"parentAccountId"`
	IsPaymentDelegatedToParent *bool   `json:"isPaymentDelegatedToParent"`
	PaymentMethodID            *string `json:"paymentMethodId"`
	ReferenceTime              *string `json:"referenceTime"`
	TimeZone                   *string `json:"timeZone"`
	Address1                   *string `json:"address1"`
	Address2                   *string `json:"address2"`
	PostalCode                 *string `json:"postalCode"`
	Company                    *string `json:"company"`
	City                       *string `json:"city"`
	State                      *string `json:"state"`
	Country                    *string `json:"country"`
	Locale                     *string `json:"locale"`
	Phone                      *string `json:"phone"`
	Notes                      *string `json:"notes"`
	IsMigrated                 *bool   `json:"isMigrated"`
	AccountBalance             *int    `json:"accountBalance"` // nothing is ever billed: 0 when asked for
	AccountCBA                 *int    `json:"accountCBA"`
	AuditLogs                  []any   `json:"auditLogs"`
}

const accountClass = "org.killbill.billing.jaxrs.json.AccountJson"

func accountProperties() []string {
	return []string{
		"accountId", "name", "firstNameLength", "externalKey", "email", "billCycleDayLocal", "currency", "parentAccountId",
		"isPaymentDelegatedToParent", "paymentMethodId", "referenceTime", "timeZone", "address1", "address2", "postalCode",
		"company", "city", "state", "country", "locale", "phone", "notes", "isMigrated", "accountBalance", "accountCBA", "auditLogs",
	}
}

// zonePattern is what Joda takes as a zone identifier: UTC, an offset, or a name of the zone database.
var zonePattern = regexp.MustCompile(`^(UTC|GMT|[+-]\d{2}:\d{2}|[A-Za-z]+(/[A-Za-z0-9_+-]+){0,2})$`)

// readAccount binds a body. Kill Bill ignores an accountId, balances and audit logs that a client sends.
func readAccount(body []byte) (*account, *failure) {
	f, err := bind(body, accountClass, accountProperties()...)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, illegal("AccountJson body should be specified")
	}
	f.uuid("accountId")
	a := &account{
		Name: f.text("name"), FirstNameLength: f.integer("firstNameLength"), Email: f.text("email"),
		BillCycleDayLocal: f.integer("billCycleDayLocal"), Currency: f.text("currency"), ParentAccountID: f.uuid("parentAccountId"),
		IsPaymentDelegatedToParent: f.boolean("isPaymentDelegatedToParent"), PaymentMethodID: f.uuid("paymentMethodId"),
		ReferenceTime: f.instant("referenceTime"), TimeZone: f.text("timeZone"), Address1: f.text("address1"), Address2: f.text("address2"),
		PostalCode: f.text("postalCode"), Company: f.text("company"), City: f.text("city"), State: f.text("state"),
		Country: f.text("country"), Locale: f.text("locale"), Phone: f.text("phone"), Notes: f.text("notes"),
		IsMigrated: f.boolean("isMigrated"), AuditLogs: []any{},
	}
	if key := f.text("externalKey"); key != nil {
		a.ExternalKey = *key
	}
	return a, f.err
}

// complete gives a new account its identity and Kill Bill's defaults.
func (a *account) complete(now time.Time) {
	a.AccountID = newUUID()
	fill(&a.ExternalKey, a.AccountID)
	zero, no, utc := 0, false, "UTC"
	fill(&a.BillCycleDayLocal, &zero)
	fill(&a.IsPaymentDelegatedToParent, &no)
	fill(&a.IsMigrated, &no)
	fill(&a.ReferenceTime, instantText(now))
	if a.TimeZone == nil || *a.TimeZone == "" {
		a.TimeZone = &utc
	}
	if a.Currency != nil && *a.Currency == "" {
		a.Currency = nil
	}
}

// check refuses what Kill Bill's own code refuses (400), then what does not fit its columns (500, from the database).
// A currency is an enum before it is a column, so one that is too long is a bad argument as well.
func (a *account) check() *failure {
	if a.Currency != nil && !knownCurrency(*a.Currency) {
		return illegal("No enum constant org.killbill.billing.catalog.api.Currency.%s", *a.Currency)
	}
	if !zonePattern.MatchString(*a.TimeZone) {
		return illegal("The datetime zone id '%s' is not recognised", *a.TimeZone)
	}
	if utf8.RuneCountInString(a.ExternalKey) > 255 {
		return billing(400, "account.api.AccountApiException", codeKeyTooLong, "External key exceeded 255 characters")
	}
	for _, c := range []struct {
		column string
		value  *string
		limit  int
	}{
		{"email", a.Email, 128},
		{"name", a.Name, 100},
		{"time_zone", a.TimeZone, 50},
		{"locale", a.Locale, 5},
		{"address1", a.Address1, 100},
		{"address2", a.Address2, 100},
		{"company_name", a.Company, 50},
		{"city", a.City, 50},
		{"state_or_province", a.State, 50},
		{"country", a.Country, 50},
		{"postal_code", a.PostalCode, 16},
		{"phone", a.Phone, 25},
		{"notes", a.Notes, 4096},
	} {
		if c.value != nil && utf8.RuneCountInString(*c.value) > c.limit {
			return tooLong(c.column)
		}
	}
	return nil
}
