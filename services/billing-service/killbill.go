package billingservice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/captest/captest/services/kit"
)

// autoPayOff is the id of Kill Bill's own tag that stops it from charging an account by itself.
const autoPayOff = "00000000-0000-0000-0000-000000000001"

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// killBill is Kill Bill as this service needs it.
type killBill struct {
	client *kit.Client
	access Access
	calls  int         // per account: 4 or 2
	known  atomic.Bool // the tenant exists
}

func newKillBill(client *kit.Client, access Access, calls int) *killBill {
	return &killBill{client: client, access: access.withDefaults(), calls: calls}
}

// introduce makes the tenant at the start, for at most two seconds; open tries again when that did not work.
func (k *killBill) introduce(ctx context.Context, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- k.tenant(ctx) }()
	select { // a client without timeouts does not return when ctx ends
	case err := <-failed:
		if err != nil {
			log.Warn("tenant not made yet", "error", err.Error())
		}
	case <-ctx.Done():
		log.Warn("tenant not made yet", "error", "Kill Bill does not answer")
	}
}

// tenant makes the tenant unless it is known to exist.
func (k *killBill) tenant(ctx context.Context) error {
	if k.known.Load() {
		return nil
	}
	body, err := json.Marshal(map[string]string{"apiKey": k.access.APIKey, "apiSecret": k.access.APISecret})
	if err != nil {
		return err
	}
	answer, err := k.client.Do(ctx, kit.Call{Method: http.MethodPost, Path: "/1.0/kb/tenants", Header: k.access.basic(), Body: body})
	if err != nil {
		return err
	}
	if answer.Status != http.StatusCreated && answer.Status != http.StatusConflict {
		return failed("create tenant", answer)
	}
	answer.Close()
	k.known.Store(true)
	return nil
}

// open gives the id of the customer's account, which it makes unless it is there. With an error, the id is given as far
// as it is known, and nothing says that Kill Bill surely made no account.
func (k *killBill) open(ctx context.Context, o opening) (id string, nothing bool, err error) {
	if err := k.tenant(ctx); err != nil {
		return "", true, err
	}
	if k.calls == 4 {
		return k.openIn4(ctx, o)
	}
	return k.openIn2(ctx, o)
}

// openIn4 asks before and after: look up (404), create, look up again for the id, tag.
//
// Under the knob error_path=leaks the answer to the first look-up is still open when a later call fails, and the early
// return forgets it: one connection lost for each failure.
func (k *killBill) openIn4(ctx context.Context, o opening) (id string, nothing bool, err error) {
	id, first, err := k.find(ctx, o.CustomerID)
	if err != nil {
		return "", true, err
	}
	if id == "" {
		if _, err := k.create(ctx, o); err != nil {
			return "", refused(err), err
		}
		var second *kit.Answer
		if id, second, err = k.find(ctx, o.CustomerID); err != nil {
			return "", false, err
		}
		if id == "" {
			return "", false, fmt.Errorf("kill-bill: no account for the key just created (status %d)", second.Status)
		}
	}
	if err := k.tag(ctx, id); err != nil {
		return id, false, err
	}
	first.Close()
	return id, false, nil
}

// openIn2 creates at once and takes the id from the Location header; only a customer who has an account costs a look-up.
func (k *killBill) openIn2(ctx context.Context, o opening) (id string, nothing bool, err error) {
	if id, err = k.create(ctx, o); err != nil {
		return "", refused(err), err
	}
	if id == "" {
		var answer *kit.Answer
		if id, answer, err = k.find(ctx, o.CustomerID); err != nil {
			return "", false, err
		}
		answer.Close()
		if id == "" {
			return "", false, errors.New("kill-bill: it says the account exists, but finds none for the key")
		}
	}
	return id, false, k.tag(ctx, id)
}

// refused says whether a failed create surely made nothing: Kill Bill refused it as wrong, or it was never sent. A 5xx
// says neither, and no answer says nothing at all.
func refused(err error) bool {
	var status *kit.StatusError
	var open *kit.OpenError
	return errors.As(err, &open) || errors.As(err, &status) && status.Status >= 400 && status.Status < 500
}

// close closes an account. Kill Bill keeps it, under its key, as closed; one that it does not know is closed as well.
// Whatever the customer had there in the meantime ends with it, and no debt is left.
func (k *killBill) close(ctx context.Context, id string) error {
	answer, err := k.do(ctx, http.MethodDelete, "/1.0/kb/accounts/"+id+"?cancelAllSubscriptions=true&writeOffUnpaidInvoices=true&removeFutureNotifications=true", nil)
	if err != nil {
		return err
	}
	switch {
	case answer.Status == http.StatusNoContent, answer.Status == http.StatusOK: // older ones answer 200
		return nil
	case code(answer) == codeNoAccountID:
		return nil
	default:
		return failed("close account", answer)
	}
}

// Codes of Kill Bill's own 404s. One without is a proxy's, or that of a Kill Bill still starting, and says nothing.
const (
	codeNoAccountID  = 3002
	codeNoAccountKey = 3003
)

// code is Kill Bill's code in an error answer, 0 when there is none.
func code(answer *kit.Answer) int {
	var refusal struct {
		Code int `json:"code"`
	}
	_ = json.Unmarshal(answer.Body, &refusal) // not JSON: no code
	return refusal.Code
}

// find looks an account up by the customer's id; "" when there is none. The answer may still be open.
func (k *killBill) find(ctx context.Context, customer string) (id string, answer *kit.Answer, err error) {
	answer, err = k.do(ctx, http.MethodGet, "/1.0/kb/accounts?externalKey="+url.QueryEscape(customer), nil)
	if err != nil {
		return "", nil, err
	}
	switch answer.Status {
	case http.StatusNotFound:
		return "", answer, nil
	case http.StatusOK:
		var account struct {
			AccountID string `json:"accountId"`
		}
		if err := json.Unmarshal(answer.Body, &account); err != nil || !uuid.MatchString(account.AccountID) {
			return "", nil, errors.Join(errors.New("kill-bill: get account: no account id in the answer"), err)
		}
		return account.AccountID, answer, nil
	default:
		return "", nil, failed("get account", answer)
	}
}

// create makes an account and gives its id, or "" when there is one for this customer already (409).
func (k *killBill) create(ctx context.Context, o opening) (id string, err error) {
	answer, err := k.do(ctx, http.MethodPost, "/1.0/kb/accounts", map[string]string{
		"externalKey": o.CustomerID, "email": o.Email, "name": o.Name, "company": o.Company, "currency": o.Currency,
	})
	if err != nil {
		return "", err
	}
	switch answer.Status {
	case http.StatusCreated:
		return idIn(answer.Header.Get("Location")), nil
	case http.StatusConflict:
		answer.Close()
		return "", nil
	default:
		return "", failed("create account", answer)
	}
}

// tag puts AUTO_PAY_OFF on an account; 409 says that it is there.
func (k *killBill) tag(ctx context.Context, id string) error {
	answer, err := k.do(ctx, http.MethodPost, "/1.0/kb/accounts/"+id+"/tags", []string{autoPayOff})
	if err != nil {
		return err
	}
	if answer.Status != http.StatusCreated && answer.Status != http.StatusConflict {
		return failed("tag account", answer)
	}
	answer.Close()
	return nil
}

func (k *killBill) do(ctx context.Context, method, path string, body any) (*kit.Answer, error) {
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	return k.client.Do(ctx, kit.Call{Method: method, Path: path, Header: k.access.headers(), Body: encoded})
}

// failed is the error branch of every call. It does not close the answer: with error_path=closes there is nothing left
// to close, with error_path=leaks this is the leak.
func failed(call string, answer *kit.Answer) error {
	return &kit.StatusError{Downstream: "kill-bill", Call: call, Status: answer.Status}
}

// idIn takes the account id from a Location: a full URL behind a direct connection, only a path behind some proxies. "" when
// there is none.
func idIn(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	if id := path.Base(u.Path); uuid.MatchString(id) {
		return id
	}
	return ""
}
