package userservice

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/captest/captest/services/kit"
)

// billing is billing-service as this service needs it.
type billing struct{ client *kit.Client }

// createAccount has billing open the customer's account. Asking again for the same customer gives the same account.
func (b billing) createAccount(ctx context.Context, permit *kit.Permit, c *customer) error {
	body, err := json.Marshal(map[string]string{
		"customer_id": c.ID, "email": c.Email, "name": c.FirstName + " " + c.LastName, "company": "", "currency": "USD",
	})
	if err != nil {
		return err
	}
	answer, err := b.client.Do(ctx, kit.Call{
		Method: http.MethodPost, Path: "/api/billing/accounts/", Body: body, Permit: permit,
		Header: http.Header{"Content-Type": {"application/json"}},
	})
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		// Under the knob error_path=leaks the answer is still open here, and nobody is going to close it.
		return &kit.StatusError{Downstream: "billing", Call: "create account", Status: answer.Status}
	}
	return nil
}

// hasAccount asks whether billing knows the customer.
func (b billing) hasAccount(ctx context.Context, id string) (bool, error) {
	answer, err := b.client.Do(ctx, kit.Call{Method: http.MethodGet, Path: "/api/billing/accounts/" + url.PathEscape(id)})
	if err != nil {
		return false, err
	}
	defer answer.Close()
	switch answer.Status {
	case http.StatusOK:
		return true, nil
	case http.StatusNotFound:
		return false, nil
	default:
		return false, &kit.StatusError{Downstream: "billing", Call: "get account", Status: answer.Status}
	}
}
