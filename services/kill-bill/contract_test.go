package killbill

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const autoPayOff = "00000000-0000-0000-0000-000000000001"

func TestCreatedAccountIsExactlyKillBills(t *testing.T) {
	s := serveSite(t, quick(t))
	a := s.ask("POST", "/1.0/kb/accounts", `{}`, nil)
	if a.status != 201 || a.body != "" || a.header.Get("Content-Type") != "application/json" || a.header.Get("Content-Length") != "0" {
		t.Fatalf("POST {} = %d %q %v, want an empty 201 as application/json", a.status, a.body, a.header)
	}
	id := strings.TrimPrefix(a.header.Get("Location"), s.url+"/1.0/kb/accounts/")
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Fatalf("Location %q does not end in a random UUID", a.header.Get("Location"))
	}
	got := s.ask("GET", "/1.0/kb/accounts/"+id, "", nil)
	m := got.object(t)
	if when, _ := m["referenceTime"].(string); !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(when) {
		t.Errorf("referenceTime %q", when)
	}
	delete(m, "referenceTime")
	want := map[string]any{
		"accountId": id, "name": nil, "firstNameLength": nil, "externalKey": id, "email": nil, "billCycleDayLocal": 0.0, "currency": nil,
		"parentAccountId": nil, "isPaymentDelegatedToParent": false, "paymentMethodId": nil, "timeZone": "UTC", "address1": nil,
		"address2": nil, "postalCode": nil, "company": nil, "city": nil, "state": nil, "country": nil, "locale": nil, "phone": nil,
		"notes": nil, "isMigrated": false, "accountBalance": nil, "accountCBA": nil, "auditLogs": []any{},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	order := regexp.MustCompile(`"(\w+)":`).FindAllStringSubmatch(got.body, -1)
	var names []string
	for _, o := range order {
		names = append(names, o[1])
	}
	if diff := cmp.Diff(accountProperties(), names); diff != "" {
		t.Errorf("order of properties (-want +got):\n%s", diff)
	}
}

func TestAccountKeepsWhatItWasGiven(t *testing.T) {
	s := serveSite(t, quick(t))
	path := s.create(`{"externalKey":"k&1 ä","name":"Ann","email":"a@b.example","currency":"EUR","company":"C","timeZone":"America/New_York",
		"firstNameLength":"3","isMigrated":"true","phone":42,"locale":null,"accountId":"00000000-0000-4000-8000-000000000000"}`)
	byID := s.ask("GET", path, "", nil)
	byKey := s.ask("GET", "/1.0/kb/accounts?externalKey=k%261%20%C3%A4", "", nil)
	if byID.body != byKey.body || byID.status != 200 || byKey.status != 200 {
		t.Fatalf("by id %d %s\nby key %d %s", byID.status, byID.body, byKey.status, byKey.body)
	}
	m := byID.object(t)
	for name, want := range map[string]any{
		"externalKey": "k&1 ä", "name": "Ann", "email": "a@b.example", "currency": "EUR", "company": "C", "timeZone": "America/New_York",
		"firstNameLength": 3.0, "isMigrated": true, "phone": "42", "locale": nil, "accountId": strings.TrimPrefix(path, "/1.0/kb/accounts/"),
	} {
		if m[name] != want {
			t.Errorf("%s = %v, want %v", name, m[name], want)
		}
	}
	m = s.ask("GET", path+"?accountWithBalanceAndCBA=true", "", nil).object(t)
	if m["accountBalance"] != 0.0 || m["accountCBA"] != 0.0 {
		t.Errorf("balances %v %v", m["accountBalance"], m["accountCBA"])
	}
}

func TestRefusals(t *testing.T) {
	s := serveSite(t, quick(t))
	taken := s.create(`{"externalKey":"taken"}`)
	const (
		absent  = "11111111-2222-4333-8444-555555555555"
		account = "/1.0/kb/accounts"
		api     = "org.killbill.billing.account.api.AccountApiException"
		illegal = "java.lang.IllegalArgumentException"
		jackson = "com.fasterxml.jackson."
		runtime = "java.lang.RuntimeException"
	)
	long := func(field string, n int) string { return `{"` + field + `":"` + strings.Repeat("ä", n) + `"}` }
	for _, c := range []struct {
		name, method, path, body string
		change                   map[string]string
		status                   int
		class                    string
		code                     any
		message                  string // part of
	}{
		{"duplicate", "POST", account, `{"externalKey":"taken"}`, nil, 409, api, 3000.0, "Account already exists for key taken"},
		{"absent key", "GET", account + "?externalKey=nobody", "", nil, 404, api, 3003.0, "Account does not exist for key nobody"},
		{"no key", "GET", account, "", nil, 404, api, 3003.0, "for key null"},
		{"absent id", "GET", account + "/" + absent, "", nil, 404, api, 3002.0, "Account does not exist for id " + absent},
		{"absent parent", "POST", account, `{"parentAccountId":"` + absent + `"}`, nil, 404, api, 3002.0, absent},
		{"no creator", "POST", account, `{}`, map[string]string{headerCreatedBy: "-"}, 400, illegal, nil, "Header X-Killbill-CreatedBy needs to be set"},
		{"no creator of a closing", "DELETE", taken, "", map[string]string{headerCreatedBy: "-"}, 400, illegal, nil, "Header X-Killbill-CreatedBy needs to be set"},
		{"closing of nobody", "DELETE", account + "/" + absent, "", nil, 404, api, 3002.0, "Account does not exist for id " + absent},
		{"states of nobody", "GET", account + "/" + absent + "/block", "", nil, 404, api, 3002.0, absent},
		{"no creator of a tag", "POST", taken + "/tags", `["` + autoPayOff + `"]`, map[string]string{headerCreatedBy: "-"}, 400, illegal, nil, "X-Killbill-CreatedBy"},
		{"empty body", "POST", account, ``, nil, 400, illegal, nil, "AccountJson body should be specified"},
		{"null body", "POST", account, `null`, nil, 400, illegal, nil, "AccountJson body should be specified"},
		{"torn body", "POST", account, `{"name":`, nil, 400, jackson + "core.JsonParseException", nil, "unexpected"},
		{"array body", "POST", account, `[]`, nil, 400, jackson + "databind.exc.MismatchedInputException", nil, "START_ARRAY"},
		{"object name", "POST", account, `{"name":{}}`, nil, 400, jackson + "databind.exc.MismatchedInputException", nil, `["name"]`},
		{"bad number", "POST", account, `{"firstNameLength":"x"}`, nil, 400, jackson + "databind.exc.InvalidFormatException", nil, `["firstNameLength"]`},
		{"unknown field", "POST", account, `{"nmae":"x"}`, nil, 400, jackson + "databind.exc.UnrecognizedPropertyException", nil, `Unrecognized field "nmae" (class org.killbill.billing.jaxrs.json.AccountJson), not marked as ignorable`},
		{"unknown currency", "POST", account, `{"currency":"EURO"}`, nil, 400, illegal, nil, "Currency.EURO"},
		{"unknown zone", "POST", account, `{"timeZone":"no where"}`, nil, 400, illegal, nil, "no where"},
		{"long key", "POST", account, long("externalKey", 256), nil, 400, api, 5.0, "External key exceeded 255 characters"},
		{"long name", "POST", account, long("name", 101), nil, 500, runtime, nil, "java.sql.SQLDataException: Data too long for column 'name'"},
		{"long email", "POST", account, long("email", 129), nil, 500, runtime, nil, "'email'"},
		{"long company", "POST", account, long("company", 51), nil, 500, runtime, nil, "'company_name'"},
		{"long notes", "POST", account, long("notes", 4097), nil, 500, runtime, nil, "'notes'"},
		{"tag of nobody", "POST", account + "/" + absent + "/tags", `["` + autoPayOff + `"]`, nil, 404, api, 3002.0, absent},
		{"unknown tag", "POST", taken + "/tags", `["` + absent + `"]`, nil, 404, "org.killbill.billing.util.api.TagDefinitionApiException", 3902.0, absent},
		{"tag no uuid", "POST", taken + "/tags", `["x"]`, nil, 400, jackson + "databind.exc.InvalidFormatException", nil, "java.util.UUID"},
		{"tag no array", "POST", taken + "/tags", `{}`, nil, 400, jackson + "databind.exc.MismatchedInputException", nil, "START_OBJECT"},
		{"tenant taken", "POST", "/1.0/kb/tenants", `{"apiKey":"bob","apiSecret":"x"}`, nil, 409, "org.killbill.billing.tenant.api.TenantApiException", 20000.0, "Tenant already exists for key bob"},
		{"tenant no secret", "POST", "/1.0/kb/tenants", `{"apiKey":"x"}`, nil, 400, illegal, nil, "apiSecret needs to be set"},
		{"plan without product", "POST", "/1.0/kb/subscriptions", `{"accountId":"` + strings.TrimPrefix(taken, account+"/") + `"}`, nil, 400, illegal, nil, "productName needs to be set"},
		{"subscription of nobody", "POST", "/1.0/kb/subscriptions", `{"accountId":"` + absent + `","planName":"p"}`, nil, 404, api, 3002.0, absent},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := s.ask(c.method, c.path, c.body, c.change)
			if a.status != c.status || a.header.Get("Content-Type") != "application/json" {
				t.Fatalf("%d %s %s, want %d as JSON", a.status, a.header.Get("Content-Type"), a.body, c.status)
			}
			m := a.object(t)
			message, _ := m["message"].(string)
			if m["className"] != c.class || m["code"] != c.code || !strings.Contains(message, c.message) {
				t.Errorf("%s\nwant class %s, code %v, message with %q", a.body, c.class, c.code, c.message)
			}
			if cause := m["causeClassName"]; (cause != nil) != (c.status == 500) {
				t.Errorf("causeClassName %v", cause)
			}
			if trace, ok := m["stackTrace"].([]any); !ok || len(trace) != 0 || len(m) != 6 {
				t.Errorf("not Kill Bill's six properties with an empty trace: %s", a.body)
			}
		})
	}
	// Exactly at the limits is fine.
	for _, body := range []string{long("externalKey", 255), long("name", 100), long("email", 128), long("company", 50), long("notes", 4096)} {
		s.create(body)
	}
}

func TestCredentialsComeFirst(t *testing.T) {
	s := serveSite(t, quick(t))
	basic := func(user, password string) map[string]string {
		return map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)), headerAPIKey: "-", headerCreatedBy: "-"}
	}
	for name, change := range map[string]map[string]string{
		"none": {"Authorization": "-"}, "wrong password": basic("admin", "passwore"), "wrong user": basic("admi", "password"), "shifted": basic("admin:pass", "word"),
	} {
		for _, path := range []string{"/1.0/kb/accounts", "/1.0/kb/nothing", "/1.0/kb/tenants"} {
			a := s.ask("POST", path, `{`, change)
			if a.status != 401 || a.body != "" || a.header.Get("WWW-Authenticate") != `BASIC realm="application"` {
				t.Errorf("%s %s: %d %q %v", name, path, a.status, a.body, a.header)
			}
		}
	}
	for name, change := range map[string]map[string]string{
		"no key": {headerAPIKey: "-"}, "no secret": {headerAPISecret: "-"}, "wrong secret": {headerAPISecret: "x"}, "unknown": {headerAPIKey: "<b>"},
	} {
		change[headerCreatedBy] = "-" // the tenant is checked before the creator
		a := s.ask("POST", "/1.0/kb/accounts", `{}`, change)
		if a.status != 401 || a.header.Get("Content-Type") != "text/html;charset=utf-8" || !strings.Contains(a.body, "HTTP Status 401") ||
			strings.Contains(a.body, "<b></b>") || strings.Contains(a.body, "- <b>,") || a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %d %v %s", name, a.status, a.header, a.body)
		}
	}
	for _, path := range []string{"/1.0/healthcheck", "/1.0/metrics", "/1.0/threads", "/metrics", "/ready"} {
		if a := s.ask("GET", path, "", map[string]string{"Authorization": "-", headerAPIKey: "-"}); a.status != 200 || a.body == "" {
			t.Errorf("%s without credentials: %d %s", path, a.status, a.body)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	s := serveSite(t, quick(t))
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/1.0/kb/invoices", 404, ""},
		{"POST", "/1.0/kb/invoices", 404, ""},
		{"GET", "/1.0/kb/accounts/not-a-uuid", 404, ""},
		{"GET", "/1.0/kb/accounts/11111111-2222-4333-8444-5555555555-5", 404, ""},
		{"GET", "/elsewhere", 404, ""},
		{"PUT", "/1.0/kb/accounts", 405, "GET,POST,HEAD"},
		{"PUT", "/1.0/kb/accounts/11111111-2222-4333-8444-555555555555", 405, "DELETE,GET,HEAD"},
		{"DELETE", "/1.0/kb/accounts/not-a-uuid", 404, ""},
	} {
		a := s.ask(c.method, c.path, "", nil)
		if a.status != c.status || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") || a.header.Get("Allow") != c.allow {
			t.Errorf("%s %s = %d %v", c.method, c.path, a.status, a.header)
		}
	}
	if a := s.ask("POST", "/1.0/kb/accounts", `{}`, map[string]string{"Content-Type": "text/plain"}); a.status != 415 {
		t.Errorf("text/plain = %d", a.status)
	}
	if a := s.ask("POST", "/1.0/kb/accounts", `{"notes":"`+strings.Repeat("x", bodyLimit)+`"}`, nil); a.status != 413 {
		t.Errorf("oversize = %d", a.status)
	}
	if a := s.ask("POST", "/1.0/kb/accounts", `{}`, map[string]string{"Content-Type": "application/json; charset=UTF-8"}); a.status != 201 {
		t.Errorf("with charset = %d", a.status)
	}
}

func TestTenantsDoNotSeeEachOther(t *testing.T) {
	s := serveSite(t, quick(t))
	// No tenant keys are needed to make a tenant.
	a := s.ask("POST", "/1.0/kb/tenants", `{"apiKey":"ann","apiSecret":"s3","externalKey":"x"}`, map[string]string{headerAPIKey: "-", headerAPISecret: "-"})
	if a.status != 201 || !strings.HasPrefix(a.header.Get("Location"), s.url+"/1.0/kb/tenants/") || a.body != "" {
		t.Fatalf("%d %q %v", a.status, a.body, a.header)
	}
	if m := s.ask("GET", strings.TrimPrefix(a.header.Get("Location"), s.url), "", nil).object(t); m["apiKey"] != "ann" || m["apiSecret"] != nil || m["externalKey"] != "x" {
		t.Errorf("tenant %v", m)
	}
	ann := map[string]string{headerAPIKey: "ann", headerAPISecret: "s3"}
	bobs := s.create(`{"externalKey":"same"}`)
	if a := s.ask("GET", bobs, "", ann); a.status != 404 {
		t.Errorf("ann reads bob's account by id: %d", a.status)
	}
	if a := s.ask("GET", "/1.0/kb/accounts?externalKey=same", "", ann); a.status != 404 {
		t.Errorf("ann reads bob's account by key: %d", a.status)
	}
	if a := s.ask("DELETE", bobs, "", ann); a.status != 404 {
		t.Errorf("ann closes bob's account: %d", a.status)
	}
	if a := s.ask("POST", bobs+"/tags", `["`+autoPayOff+`"]`, ann); a.status != 404 {
		t.Errorf("ann tags bob's account: %d", a.status)
	}
	if a := s.ask("POST", "/1.0/kb/accounts", `{"externalKey":"same"}`, ann); a.status != 201 {
		t.Errorf("the same key for another tenant: %d %s", a.status, a.body)
	}
}

// A closed account stays where it was: only its blocking state shows that it is closed.
func TestAClosedAccountStays(t *testing.T) {
	s := serveSite(t, quick(t))
	path := s.create(`{"externalKey":"k","name":"Ann"}`)
	before := s.ask("GET", path, "", nil)
	if a := s.ask("GET", path+"/block", "", nil); a.status != 200 || a.body != "[]" {
		t.Errorf("states of an open account: %d %s", a.status, a.body)
	}
	var when any
	for range 2 { // the second time changes nothing
		a := s.ask("DELETE", path+"?cancelAllSubscriptions=true&removeFutureNotifications=false", "", map[string]string{"Content-Type": "-"})
		if a.status != 204 || a.body != "" || a.header.Get("Content-Type") != "" {
			t.Fatalf("%d %q %v", a.status, a.body, a.header)
		}
		var states []map[string]any
		if a = s.ask("GET", path+"/block", "", nil); json.Unmarshal([]byte(a.body), &states) != nil || len(states) != 1 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if when == nil {
			when = states[0]["effectiveDate"]
		}
		want := map[string]any{
			"blockedId": strings.TrimPrefix(path, "/1.0/kb/accounts/"), "stateName": "CLOSE_ACCOUNT", "service": "account-service",
			"isBlockChange": true, "isBlockEntitlement": false, "isBlockBilling": false, "effectiveDate": when, "type": "ACCOUNT", "auditLogs": []any{},
		}
		if diff := cmp.Diff(want, states[0]); diff != "" {
			t.Errorf("state (-want +got):\n%s", diff)
		}
	}
	for _, where := range []string{path, "/1.0/kb/accounts?externalKey=k"} {
		if a := s.ask("GET", where, "", nil); a.status != 200 || a.body != before.body {
			t.Errorf("%s: %d %s", where, a.status, a.body)
		}
	}
	if a := s.ask("POST", "/1.0/kb/accounts", `{"externalKey":"k"}`, nil); a.status != 409 {
		t.Errorf("the key of a closed account: %d", a.status)
	}
	timers := s.ask("GET", "/1.0/metrics", "", nil).object(t)["timers"].(map[string]any)
	if m, _ := timers["kb_resource./1_0/kb/accounts.closeAccount.DELETE.2xx.204"].(map[string]any); m["count"] != 2.0 {
		t.Errorf("timer %v", m)
	}
}

func TestTagsAndSubscriptions(t *testing.T) {
	s := serveSite(t, quick(t))
	path := s.create(`{}`)
	for range 2 { // the second time is no error
		a := s.ask("POST", path+"/tags", `["`+autoPayOff+`"]`, nil)
		if a.status != 201 || a.body != "" || a.header.Get("Location") != s.url+path+"/tags" {
			t.Fatalf("%d %q %v", a.status, a.body, a.header)
		}
	}
	tags := s.ask("GET", path+"/tags", "", nil)
	if tags.status != 200 || strings.Count(tags.body, `"tagDefinitionName":"AUTO_PAY_OFF"`) != 1 || !strings.HasPrefix(tags.body, "[") {
		t.Errorf("%d %s", tags.status, tags.body)
	}
	id := strings.TrimPrefix(path, "/1.0/kb/accounts/")
	a := s.ask("POST", "/1.0/kb/subscriptions", `{"accountId":"`+id+`","planName":"standard-monthly","externalKey":"i1"}`, nil)
	where := strings.TrimPrefix(a.header.Get("Location"), s.url)
	if a.status != 201 || a.body != "" || !strings.HasPrefix(where, "/1.0/kb/subscriptions/") {
		t.Fatalf("%d %q %v", a.status, a.body, a.header)
	}
	if m := s.ask("GET", where, "", nil).object(t); m["accountId"] != id || m["planName"] != "standard-monthly" || m["externalKey"] != "i1" || m["bundleId"] == nil {
		t.Errorf("subscription %v", m)
	}
	if a := s.ask("GET", "/1.0/kb/subscriptions/"+id, "", nil); a.status != http.StatusNotFound || a.object(t)["code"] != 1082.0 {
		t.Errorf("unknown subscription: %d %s", a.status, a.body)
	}
}
