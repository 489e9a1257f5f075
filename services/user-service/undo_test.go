package userservice

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/captest/captest/services/kit"
)

func TestAFailureOfBillingLeavesNoCustomer(t *testing.T) {
	for _, c := range []struct {
		name   string
		want   int
		answer func(w http.ResponseWriter, r *http.Request, open func())
	}{
		{"502", 502, func(w http.ResponseWriter, _ *http.Request, _ func()) { w.WriteHeader(502) }},
		{"503", 503, func(w http.ResponseWriter, _ *http.Request, _ func()) { w.WriteHeader(503) }},
		{"422", 502, func(w http.ResponseWriter, _ *http.Request, _ func()) { w.WriteHeader(422) }},
		{"killed before it answers", 502, func(http.ResponseWriter, *http.Request, func()) { panic(http.ErrAbortHandler) }},
		{"killed after it has opened the account", 502, func(_ http.ResponseWriter, _ *http.Request, open func()) {
			open()
			panic(http.ErrAbortHandler)
		}},
	} {
		for _, path := range []string{kit.Closes, kit.Leaks} {
			t.Run(c.name+" "+path, func(t *testing.T) {
				k := knobs()
				k.ErrorPath = path
				f := start(t, k)
				f.billing.answer(c.answer)
				status, head, answer := f.ask(t, "POST", "/auth/register", form("ada@load.example"))
				if status != c.want || answer["success"] != false || (head.Get("Retry-After") != "") != (c.want == 503) {
					t.Errorf("%d %v, want %d", status, answer, c.want)
				}
				if all, _ := f.rows(t); all != 0 {
					t.Errorf("%d customers left behind", all)
				}
				if status, _, _ := f.ask(t, "POST", "/auth/login", `{"email":"ada@load.example","password":"Correct-Horse-1"}`); status != 401 {
					t.Errorf("login of a customer that never was: %d", status)
				}
				f.billing.instead.Store(nil)
				if status, answer := f.register(t, "ada@load.example"); status != http.StatusCreated {
					t.Errorf("once billing is well again: %d %v", status, answer)
				}
			})
		}
	}
}

// After as many failed registrations as there are connections, a leaking undo has none left: what needs the store waits for
// ever, and liveness does not notice.
func TestALeakingUndoStarvesTheStore(t *testing.T) {
	for _, undo := range []string{kit.Leaks, kit.Closes} {
		k := knobs()
		k.Undo = undo
		f := start(t, k)
		f.billing.fail(502)
		for i := range k.DBPool {
			if status, _ := f.register(t, strconv.Itoa(i)+"@load.example"); status != 502 {
				t.Fatalf("failure %d: %d", i, status)
			}
		}
		f.billing.instead.Store(nil)
		used, want := f.metric(t, `go_sql_in_use_connections{db_name="user"}`), 0.0
		if undo == kit.Leaks {
			want = float64(k.DBPool)
		}
		if used != want {
			t.Errorf("%s: %v connections in use at rest, want %v", undo, used, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if undo == kit.Leaks {
			ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
		}
		status, _, _, err := f.request(ctx, "POST", "/auth/register", form("late@load.example"))
		if stuck := errors.Is(err, context.DeadlineExceeded); stuck != (undo == kit.Leaks) || !stuck && status != 201 {
			t.Errorf("%s: %d %v", undo, status, err)
		}
		if status, _, _ := f.ask(t, "GET", "/health", ""); status != 200 {
			t.Errorf("%s: health %d", undo, status)
		}
	}
}

func TestAClientThatGoesWhileBillingWorksLeavesNoCustomer(t *testing.T) {
	f := start(t, knobs())
	working, gone := make(chan struct{}), make(chan struct{})
	f.billing.answer(func(_ http.ResponseWriter, r *http.Request, _ func()) {
		close(working)
		<-r.Context().Done() // user-service gave the call up
		close(gone)
	})
	ctx, goAway := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, _, _, err := f.request(ctx, "POST", "/auth/register", form("ada@load.example"))
		ended <- err
	}()
	<-working
	if all, active := f.rows(t); all != 1 || active != 0 {
		t.Errorf("while billing works: %d customers, %d of them active; want one that is pending", all, active)
	}
	// A pending customer is nobody yet, but its address is spoken for.
	if status, _, _ := f.ask(t, "POST", "/auth/login", `{"email":"ada@load.example","password":"Correct-Horse-1"}`); status != 401 {
		t.Errorf("login while pending: %d", status)
	}
	if status, _ := f.register(t, "ada@load.example"); status != 409 {
		t.Errorf("registering the same address while pending: %d", status)
	}
	goAway()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("client: %v", err)
	}
	<-gone
	eventually(t, "the customer removed", func() bool { all, _ := f.rows(t); return all == 0 })
}

func TestWorkGoesOnWithoutItsClientWhenItIsNotCancelled(t *testing.T) {
	k := knobs()
	k.Abandoned = kit.Continues
	f := start(t, k)
	working, finish := make(chan struct{}), make(chan struct{})
	f.billing.answer(func(w http.ResponseWriter, _ *http.Request, open func()) {
		close(working)
		<-finish
		open()
	})
	ctx, goAway := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _, _, _ = f.request(ctx, "POST", "/auth/register", form("ada@load.example"))
	}()
	<-working
	goAway()
	<-ended
	close(finish)
	eventually(t, "the customer active", func() bool { _, active := f.rows(t); return active == 1 })
}

func TestWhatACrashLeavesPendingIsSettledAtTheNextStart(t *testing.T) {
	f := start(t, knobs())
	for i, opened := range []bool{true, false} {
		c := &customer{ID: newID(), Email: strconv.Itoa(i) + "@load.example", PasswordHash: "x", FirstName: "A", LastName: "B", State: pending, Created: time.Now()}
		if err := f.customers.insert(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if opened {
			f.billing.accounts[c.ID] = true
		}
	}
	f.open(t) // the process starts again
	if all, active := f.rows(t); all != 1 || active != 1 {
		t.Errorf("%d customers, %d active; want the one that billing knows", all, active)
	}
}

func TestAPendingCustomerThatCannotBeSettledStaysOutOfSight(t *testing.T) {
	f := start(t, knobs())
	c := &customer{ID: newID(), Email: "ada@load.example", PasswordHash: "x", FirstName: "A", LastName: "B", State: pending, Created: time.Now().Add(-2 * staleAfter)}
	if err := f.customers.insert(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	f.billing.away.Store(true)
	f.open(t) // nothing can be decided, and the start is not held up
	if all, active := f.rows(t); all != 1 || active != 0 {
		t.Errorf("without billing: %d customers, %d active", all, active)
	}
	if status, _ := f.register(t, "ada@load.example"); status != http.StatusConflict {
		t.Errorf("registering its address without billing: %d", status)
	}
	f.billing.away.Store(false)
	if status, answer := f.register(t, "ada@load.example"); status != http.StatusCreated {
		t.Errorf("registering its address with billing back: %d %v", status, answer)
	}
	if all, active := f.rows(t); all != 1 || active != 1 {
		t.Errorf("with billing back: %d customers, %d active", all, active)
	}
}

func TestTwoRegistrationsOfOneAddressAtOnce(t *testing.T) {
	f := start(t, knobs())
	var wg sync.WaitGroup
	statuses := make(chan int, 8)
	for range 8 {
		wg.Go(func() {
			status, _, _, err := f.request(t.Context(), "POST", "/auth/register", form("ada@load.example"))
			if err != nil {
				t.Error(err)
			}
			statuses <- status
		})
	}
	wg.Wait()
	close(statuses)
	count := map[int]int{}
	for s := range statuses {
		count[s]++
	}
	if count[201] != 1 || count[409] != 7 {
		t.Errorf("statuses %v, want one 201 and seven 409", count)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never saw %s", what)
}
