package billingservice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/captest/captest/services/kit"
)

// impatient settles within tenths of a second.
func impatient() kit.Knobs {
	k := knobs()
	k.Settle = 100 * time.Millisecond
	return k
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never saw %s", what)
}

// set changes what the fake does.
func (k *fakeKillBill) set(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
}

// holds says whether a call has reached Kill Bill and waits there.
func (k *fakeKillBill) holds() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.holding
}

// has says whether Kill Bill has an account for a customer, and whether it is closed.
func (k *fakeKillBill) has(customer string) (made, closed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	id, made := k.accounts[customer]
	return made, k.closed[id]
}

// neither waits until nothing is left of a customer: no account here, none or a closed one at Kill Bill.
func neither(t *testing.T, s *Service, url string, kb *fakeKillBill, customer string, made bool) {
	t.Helper()
	eventually(t, "the row closed or gone", func() bool {
		row, err := s.accounts.find(t.Context(), customer)
		return err == nil && (row.state == stateClosed || row.state == "")
	})
	if status, _ := ask(t, "GET", url+"/api/billing/accounts/"+customer, ""); status != http.StatusNotFound {
		t.Errorf("get: %d", status)
	}
	if is, closed := kb.has(customer); is != made || made && !closed {
		t.Errorf("at Kill Bill: made %v, closed %v; want made %v and then closed", is, closed, made)
	}
	eventually(t, "accounts_unsettled 0", func() bool { return metric(t, url, "accounts_unsettled") == "0" })
}

func metric(t *testing.T, url, name string) string {
	t.Helper()
	resp, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return value
		}
	}
	t.Fatalf("no metric %s", name)
	return ""
}

func TestAFailureOfKillBillLeavesNoAccount(t *testing.T) {
	for _, c := range []struct {
		name   string
		calls  int // 0: both ways
		fail   map[string]int
		lose   map[string]string
		status int
		made   bool
		again  int // status of asking again for the same customer, once Kill Bill is well
	}{
		{"create over capacity", 0, map[string]int{"POST /accounts": 503}, nil, 503, false, 409},
		{"create failed", 0, map[string]int{"POST /accounts": 500}, nil, 502, false, 409},
		{"create refused", 0, map[string]int{"POST /accounts": 400}, nil, 502, false, 200},
		{"create lost", 0, nil, map[string]string{"POST /accounts": "before"}, 502, false, 409},
		{"created, answer lost", 0, nil, map[string]string{"POST /accounts": "after"}, 502, true, 409},
		{"tag failed", 0, map[string]int{"POST tags": 500}, nil, 502, true, 409},
		{"tag refused", 0, map[string]int{"POST tags": 404}, nil, 502, true, 409},
		{"tag lost", 0, nil, map[string]string{"POST tags": "before"}, 502, true, 409},
		{"tagged, answer lost", 0, nil, map[string]string{"POST tags": "after"}, 502, true, 409},
		{"look-up failed", 4, map[string]int{"GET /accounts": 500}, nil, 502, false, 200},
		{"look-up lost", 4, nil, map[string]string{"GET /accounts": "after"}, 502, false, 200},
	} {
		for _, calls := range []int{2, 4} {
			if c.calls != 0 && calls != c.calls {
				continue
			}
			for _, path := range []string{kit.Closes, kit.Leaks} {
				if path == kit.Leaks && c.lose != nil { // an answer that is lost leaks nothing
					continue
				}
				t.Run(fmt.Sprint(c.name, " ", calls, " ", path), func(t *testing.T) {
					t.Parallel()
					kb := newFakeKillBill(t)
					k := impatient()
					k.KillBillCalls, k.ErrorPath = calls, path
					s, url := start(t, k, kb)
					kb.set(func() { kb.fail, kb.lose = c.fail, c.lose })
					status, answer := ask(t, "POST", url+"/api/billing/accounts/", order("c1"))
					if status != c.status || answer["success"] != false {
						t.Errorf("%d %v, want %d", status, answer, c.status)
					}
					kb.set(func() { kb.fail, kb.lose = nil, nil })
					neither(t, s, url, kb, "c1", c.made)
					if status, answer = ask(t, "POST", url+"/api/billing/accounts/", order("c1")); status != c.again {
						t.Errorf("again: %d %v, want %d", status, answer, c.again)
					}
				})
			}
		}
	}
}

func TestAClientThatGoesLeavesNoAccount(t *testing.T) {
	for _, lost := range []string{"", "before"} {
		kb := newFakeKillBill(t)
		s, url := start(t, impatient(), kb)
		reached := make(chan struct{})
		kb.hold["POST /accounts"], kb.lose["POST /accounts"] = reached, lost
		ctx, goAway := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			req, _ := http.NewRequestWithContext(ctx, "POST", url+"/api/billing/accounts/", strings.NewReader(order("c1")))
			_, err := http.DefaultClient.Do(req)
			ended <- err
		}()
		eventually(t, "the create at Kill Bill", kb.holds)
		goAway()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		eventually(t, "the create given up", func() bool { return !s.underWay.has("c1") })
		close(reached) // Kill Bill goes on, as a servlet does
		neither(t, s, url, kb, "c1", lost == "")
	}
}

func TestAnAccountIsClosedWhenAskedFor(t *testing.T) {
	for _, lose := range []string{"", "before", "after"} {
		kb := newFakeKillBill(t)
		s, url := start(t, impatient(), kb)
		if status, _ := ask(t, "POST", url+"/api/billing/accounts/", order("c1")); status != 200 {
			t.Fatal(status)
		}
		kb.set(func() { kb.lose["DELETE account"] = lose })
		for range 2 { // the second changes nothing
			if status, answer := ask(t, "DELETE", url+"/api/billing/accounts/c1", ""); status != http.StatusAccepted || answer["success"] != true {
				t.Errorf("%d %v", status, answer)
			}
			if status, _ := ask(t, "GET", url+"/api/billing/accounts/c1", ""); status != 404 {
				t.Errorf("an account that is to be closed is shown: %d", status)
			}
		}
		if lose != "" {
			eventually(t, "a failed attempt", func() bool { return metric(t, url, `accounts_settled_total{outcome="failed"}`) != "0" })
			eventually(t, "accounts_unsettled 1", func() bool { return metric(t, url, "accounts_unsettled") == "1" })
			kb.set(func() { kb.lose["DELETE account"] = "" })
		}
		neither(t, s, url, kb, "c1", true)
		if n := metric(t, url, `accounts_settled_total{outcome="closed"}`); n != "1" {
			t.Errorf("closed %s times", n)
		}
	}
}

func TestACreateThatComesAfterTheDeleteIsRefused(t *testing.T) {
	kb := newFakeKillBill(t)
	s, url := start(t, impatient(), kb)
	kb.calls()
	if status, _ := ask(t, "DELETE", url+"/api/billing/accounts/c1", ""); status != http.StatusAccepted {
		t.Fatal(status)
	}
	if status, answer := ask(t, "POST", url+"/api/billing/accounts/", order("c1")); status != http.StatusConflict || !strings.Contains(fmt.Sprint(answer["message"]), "closed") {
		t.Errorf("%d %v", status, answer)
	}
	neither(t, s, url, kb, "c1", false)
	if asked := kb.calls(); asked != nil {
		t.Errorf("nothing was ever made, but Kill Bill was asked: %v", asked)
	}
}

func TestADeleteWinsOverACreateUnderWay(t *testing.T) {
	kb := newFakeKillBill(t)
	s, url := start(t, impatient(), kb)
	finish := make(chan struct{})
	kb.hold["POST tags"] = finish
	created := make(chan int, 1)
	go func() {
		status, _ := ask(t, "POST", url+"/api/billing/accounts/", order("c1"))
		created <- status
	}()
	eventually(t, "the account made", func() bool { made, _ := kb.has("c1"); return made })
	if status, _ := ask(t, "DELETE", url+"/api/billing/accounts/c1", ""); status != http.StatusAccepted {
		t.Errorf("delete: %d", status)
	}
	close(finish)
	if status := <-created; status != http.StatusConflict {
		t.Errorf("create: %d", status)
	}
	neither(t, s, url, kb, "c1", true)
}

// A create that takes longer than settle_after is still under way, not left behind.
func TestASlowCreateIsNotTakenForOneLeftBehind(t *testing.T) {
	for _, deleted := range []bool{false, true} {
		kb := newFakeKillBill(t)
		s, url := start(t, impatient(), kb)
		finish := make(chan struct{})
		kb.hold["POST /accounts"] = finish
		created := make(chan int, 1)
		go func() {
			status, _ := ask(t, "POST", url+"/api/billing/accounts/", order("c1"))
			created <- status
		}()
		eventually(t, "the create at Kill Bill", kb.holds)
		want, state := 200, stateOpening
		if deleted {
			if status, _ := ask(t, "DELETE", url+"/api/billing/accounts/c1", ""); status != http.StatusAccepted {
				t.Errorf("delete: %d", status)
			}
			want, state = 409, stateClosing
		}
		began := time.Now()
		eventually(t, "several times settle_after", func() bool { return time.Since(began) > 4*s.closing.after })
		if row, err := s.accounts.find(t.Context(), "c1"); err != nil || row.state != state {
			t.Errorf("meanwhile %q %v, want %q", row.state, err, state)
		}
		close(finish)
		if status := <-created; status != want {
			t.Errorf("create: %d, want %d", status, want)
		}
		if deleted {
			neither(t, s, url, kb, "c1", true)
		} else if status, _ := ask(t, "GET", url+"/api/billing/accounts/c1", ""); status != 200 {
			t.Errorf("get: %d", status)
		}
	}
}

// Whatever step a process died after, the next one over the same store ends with neither or both.
func TestWhatACrashLeftIsSettled(t *testing.T) {
	for _, c := range []struct {
		name string
		left func(s *Service, kb *fakeKillBill) error
		made bool
	}{
		{"after the row", func(*Service, *fakeKillBill) error { return nil }, false},
		{"after the account", func(_ *Service, kb *fakeKillBill) error { kb.accounts["c1"] = id0; return nil }, true},
		{"after the delete", func(s *Service, kb *fakeKillBill) error {
			kb.accounts["c1"] = id0
			return errors.Join(keepOnly(s), s.accounts.close(context.Background(), "c1", s.closing.after))
		}, true},
		{"after giving up", func(s *Service, kb *fakeKillBill) error {
			kb.accounts["c1"] = id0
			return s.accounts.abandon(context.Background(), "c1", "", s.closing.after)
		}, true},
		{"after closing at Kill Bill", func(s *Service, kb *fakeKillBill) error {
			kb.accounts["c1"], kb.closed[id0] = id0, true
			return s.accounts.abandon(context.Background(), "c1", id0, s.closing.after)
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			kb, store := newFakeKillBill(t), newPlace(t)
			kb.noTenant = true // the first process settles nothing
			s, _ := startOver(t, store, impatient(), kb)
			if fresh, err := s.accounts.begin(t.Context(), "c1", s.closing.after); !fresh || err != nil {
				t.Fatal(fresh, err)
			}
			kb.set(func() {
				if err := c.left(s, kb); err != nil {
					t.Error(err)
				}
			})
			s.closing.stop()
			kb.set(func() { kb.noTenant = false })
			s, url := startOver(t, store, impatient(), kb)
			neither(t, s, url, kb, "c1", c.made)
		})
	}
	t.Run("after keeping", func(t *testing.T) {
		kb, store := newFakeKillBill(t), newPlace(t)
		s, url := startOver(t, store, impatient(), kb)
		if status, _ := ask(t, "POST", url+"/api/billing/accounts/", order("c1")); status != 200 {
			t.Fatal(status)
		}
		s.closing.stop()
		_, url = startOver(t, store, impatient(), kb)
		if status, _ := ask(t, "GET", url+"/api/billing/accounts/c1", ""); status != 200 {
			t.Errorf("get: %d", status)
		}
	})
}

const id0 = "00000000-0000-4000-8000-000000000000"

func keepOnly(s *Service) error {
	_, err := s.accounts.keep(context.Background(), "c1", id0)
	return err
}

// Kill Bill may hold a create for longer than settle_after after its sender has died. The closer has counted the row as
// settled by then, and finds the account all the same.
func TestAnAccountMadeAfterTheCloserLookedIsClosed(t *testing.T) {
	kb := newFakeKillBill(t)
	s, url := start(t, impatient(), kb)
	if fresh, err := s.accounts.begin(t.Context(), "c1", s.closing.after); !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	neither(t, s, url, kb, "c1", false)
	kb.set(func() { kb.accounts["c1"] = id0 })
	eventually(t, "the late account closed", func() bool { _, closed := kb.has("c1"); return closed })
	neither(t, s, url, kb, "c1", true)
}

// A 404 that is not Kill Bill's own says nothing: a proxy gives one, and so does a Kill Bill that is still starting.
func TestOnlyKillBillsOwnNotFoundIsBelieved(t *testing.T) {
	kb := newFakeKillBill(t)
	s, url := start(t, impatient(), kb)
	kb.set(func() { kb.lose["POST /accounts"], kb.fail["GET /accounts"] = "after", 404 })
	ask(t, "POST", url+"/api/billing/accounts/", order("c1"))
	eventually(t, "two failed attempts", func() bool {
		n := metric(t, url, `accounts_settled_total{outcome="failed"}`)
		return n != "0" && n != "1"
	})
	if row, err := s.accounts.find(t.Context(), "c1"); err != nil || row.state != stateClosing {
		t.Errorf("%q %v", row.state, err)
	}
	kb.set(func() { delete(kb.fail, "GET /accounts") })
	neither(t, s, url, kb, "c1", true)
}

func TestTheCloserWaitsForKillBill(t *testing.T) {
	kb := newFakeKillBill(t)
	s, url := start(t, impatient(), kb)
	ask(t, "POST", url+"/api/billing/accounts/", order("c1"))
	kb.set(func() { kb.away = true })
	if status, _ := ask(t, "DELETE", url+"/api/billing/accounts/c1", ""); status != http.StatusAccepted {
		t.Errorf("without Kill Bill: %d", status)
	}
	eventually(t, "failed attempts", func() bool { return metric(t, url, `accounts_settled_total{outcome="failed"}`) != "0" })
	kb.set(func() { kb.away = false })
	neither(t, s, url, kb, "c1", true)
}

func TestTwoCreatesForOneCustomerAtOnceAreOne(t *testing.T) {
	kb := newFakeKillBill(t)
	_, url := start(t, impatient(), kb)
	kb.calls()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if status, answer := ask(t, "POST", url+"/api/billing/accounts/", order("c1")); status != 200 {
				t.Errorf("%d %v", status, answer)
			}
		})
	}
	wg.Wait()
	if asked := fmt.Sprint(kb.calls()); strings.Count(asked, "POST /accounts") != 1 {
		t.Errorf("Kill Bill was asked %s", asked)
	}
}
