package userservice

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/captest/captest/services/kit"
)

// billing is billing-service as this service needs it.
type billing struct{ client *kit.Client }

// createAccount has billing open the customer's account. Asking again for the same customer gives the same account.
//
// closed says what a failure means for the account: true when billing itself has answered that there is none or that it
// will close it, false when nobody knows. Only JSON is billing's own word (a proxy between has pages), and a 500 is what
// billing answers when its own store failed it.
func (b billing) createAccount(ctx context.Context, permit *kit.Permit, c *customer) (closed bool, err error) {
	body, err := json.Marshal(map[string]string{
		"customer_id": c.ID, "email": c.Email, "name": c.FirstName + " " + c.LastName, "company": "", "currency": "USD",
	})
	if err != nil {
		return true, err
	}
	answer, err := b.client.Do(ctx, kit.Call{
		Method: http.MethodPost, Path: "/api/billing/accounts/", Body: body, Permit: permit,
		Header: http.Header{"Content-Type": {"application/json"}},
	})
	if err != nil {
		return false, err
	}
	if answer.Status != http.StatusOK {
		// Under the knob error_path=leaks the answer is still open here, and nobody is going to close it.
		word := answer.Status >= 400 && answer.Status != http.StatusInternalServerError &&
			strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json")
		return word, &kit.StatusError{Downstream: "billing", Call: "create account", Status: answer.Status}
	}
	return false, nil
}

// closeAccount has billing close the customer's account, also one that it is only going to be asked for: a request to
// open it that arrives later is refused. nil means that billing has written it down, and will see to it by itself.
func (b billing) closeAccount(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, kit.SettlerPatience)
	defer cancel()
	answer, err := b.client.Do(ctx, kit.Call{Method: http.MethodDelete, Path: "/api/billing/accounts/" + url.PathEscape(id)})
	if err != nil {
		return err
	}
	if answer.Status != http.StatusAccepted {
		return &kit.StatusError{Downstream: "billing", Call: "close account", Status: answer.Status}
	}
	return nil
}
