package killbill

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
	"unicode/utf8"
)

// subscription is the part of Kill Bill's SubscriptionJson that exists without a catalog.
type subscription struct {
	AccountID         *string `json:"accountId"`
	BundleID          *string `json:"bundleId"`
	BundleExternalKey *string `json:"bundleExternalKey"`
	SubscriptionID    string  `json:"subscriptionId"`
	ExternalKey       *string `json:"externalKey"`
	StartDate         *string `json:"startDate"`
	ProductName       *string `json:"productName"`
	ProductCategory   *string `json:"productCategory"`
	BillingPeriod     *string `json:"billingPeriod"`
	PhaseType         *string `json:"phaseType"`
	PriceList         *string `json:"priceList"`
	PlanName          *string `json:"planName"`
	State             string  `json:"state"`
	Quantity          *int    `json:"quantity"`
	Events            []any   `json:"events"`
	AuditLogs         []any   `json:"auditLogs"`
}

// subscriptionProperties are all that Kill Bill binds; those the stand-in has no use for are accepted and dropped.
func subscriptionProperties() []string {
	return []string{
		"accountId", "bundleId", "bundleExternalKey", "subscriptionId", "externalKey", "startDate", "startDateTime", "productName",
		"productCategory", "billingPeriod", "phaseType", "priceList", "planName", "state", "sourceType", "cancelledDate",
		"cancelledDateTime", "chargedThroughDate", "chargedThroughDateTime", "billingStartDate", "billingStartDateTime",
		"billingEndDate", "billingEndDateTime", "billCycleDayLocal", "quantity", "events", "priceOverrides", "prices", "auditLogs",
	}
}

// readSubscription binds a body and makes the checks Kill Bill makes before it looks at its catalog.
func readSubscription(body []byte) (*subscription, *failure) {
	f, err := bind(body, "org.killbill.billing.jaxrs.json.SubscriptionJson", subscriptionProperties()...)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, illegal("SubscriptionJson body should be specified")
	}
	n := &subscription{
		AccountID: f.uuid("accountId"), BundleID: f.uuid("bundleId"), BundleExternalKey: f.text("bundleExternalKey"),
		ExternalKey: f.text("externalKey"), ProductName: f.text("productName"), ProductCategory: f.text("productCategory"),
		BillingPeriod: f.text("billingPeriod"), PhaseType: f.text("phaseType"), PriceList: f.text("priceList"),
		PlanName: f.text("planName"), Quantity: f.integer("quantity"), State: "ACTIVE", Events: []any{}, AuditLogs: []any{},
	}
	return n, f.err
}

func (n *subscription) check() *failure {
	for _, p := range []struct {
		name  string
		value *string
	}{
		{"productName", n.ProductName},
		{"productCategory", n.ProductCategory},
		{"billingPeriod", n.BillingPeriod},
		{"priceList", n.PriceList},
	} {
		if n.PlanName == nil && (p.value == nil || *p.value == "") {
			return illegal("SubscriptionJson %s needs to be set when no planName is specified", p.name)
		}
		if n.PlanName != nil && p.value != nil {
			return illegal("SubscriptionJson %s should not be set when planName is specified", p.name)
		}
	}
	for _, key := range []*string{n.ExternalKey, n.BundleExternalKey} {
		if key != nil && utf8.RuneCountInString(*key) > 255 {
			return billing(http.StatusBadRequest, "entitlement.api.EntitlementApiException", codeKeyTooLong, "External key exceeded 255 characters")
		}
	}
	return nil
}

// createSubscription serves POST /1.0/kb/subscriptions. Any plan name is taken: the stand-in has no catalog.
func createSubscription(c *call) reply {
	n, bad := readSubscription(c.body)
	if bad == nil {
		bad = c.needCreatedBy()
	}
	if bad != nil {
		return bad.reply()
	}
	owner := "null"
	if n.AccountID != nil {
		owner = *n.AccountID
	}
	if bad := c.api(func() *failure {
		return c.dao("SubscriptionSqlDao: create", costCreate, func() *failure {
			if _, err := c.s.store.accountByID(c.ctx, c.tenant.id, owner); err != nil {
				return c.storeFailure(err, noAccountID(owner))
			}
			if bad := n.check(); bad != nil {
				return bad
			}
			n.SubscriptionID = newUUID()
			bundle, today := newUUID(), time.Now().UTC().Format(time.DateOnly)
			fill(&n.BundleID, &bundle)
			fill(&n.BundleExternalKey, n.BundleID)
			fill(&n.ExternalKey, &n.SubscriptionID)
			n.StartDate = &today
			return c.storeFailure(c.s.store.insertSubscription(c.ctx, c.tenant.id, n, c.r.Header.Get(headerCreatedBy)), nil)
		})
	}); bad != nil {
		return bad.reply()
	}
	return created(c.r, "/1.0/kb/subscriptions/"+n.SubscriptionID)
}

// getSubscription serves GET /1.0/kb/subscriptions/{id}, where a creation's Location points.
func getSubscription(c *call) reply {
	n := new(subscription)
	if bad := c.api(func() *failure {
		return c.dao("SubscriptionSqlDao: getById", costLookup, func() *failure {
			err := c.s.store.document(c.ctx, n, `SELECT json FROM subscriptions WHERE tenant_id = ? AND id = ?`, c.tenant.id, c.id)
			return c.storeFailure(err, billing(http.StatusNotFound, "entitlement.api.SubscriptionApiException", codeNoSub, "Unknown subscription %s", c.id))
		})
	}); bad != nil {
		return bad.reply()
	}
	return found(n)
}

func (s *store) insertSubscription(ctx context.Context, tenant string, n *subscription, by string) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return s.insert(ctx, `INSERT INTO subscriptions (id, tenant_id, account_id, json, created_by) VALUES (?, ?, ?, ?, ?)`,
		n.SubscriptionID, tenant, *n.AccountID, string(text), by)
}
