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

// impatient settles within tenths of a second.
func impatient() kit.Knobs {
	k := knobs()
	k.Settle = 200 * time.Millisecond
	return k
}

// owes counts the undone customers that billing has not confirmed.
func (f *fixture) owes(t *testing.T) (n int) {
	t.Helper()
	if err := f.db.QueryRowContext(context.WithoutCancel(t.Context()), `SELECT count(*) FROM undone`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// neither waits until nobody is left, neither here nor at billing, and nothing is owed.
func (f *fixture) neither(t *testing.T) {
	t.Helper()
	eventually(t, "no customer, no account and no debt", func() bool {
		all, _ := f.rows(t)
		accounts, _ := f.billing.has()
		return all == 0 && accounts == 0 && f.owes(t) == 0
	})
	eventually(t, "registrations_unsettled 0", func() bool { return f.metric(t, "registrations_unsettled") == 0 })
}

func TestAFailureOfBillingLeavesNoCustomer(t *testing.T) {
	refuse := func(status int, kind string, opens bool) func(http.ResponseWriter, *http.Request, func()) {
		return func(w http.ResponseWriter, _ *http.Request, open func()) {
			if opens {
				open()
			}
			if kind != "" {
				w.Header().Set("Content-Type", kind)
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte("{}"))
		}
	}
	for _, c := range []struct {
		name   string
		want   int
		sure   bool // billing's word is enough: it need not be told to close
		answer func(w http.ResponseWriter, r *http.Request, open func())
	}{
		{"502", 502, true, refuse(502, "application/json", false)},
		{"503", 503, true, refuse(503, "application/json", false)},
		{"409", 502, true, refuse(409, "application/json", false)},
		{"422", 502, true, refuse(422, "application/json", false)},
		{"500, which promises nothing", 502, false, refuse(500, "application/json", true)},
		{"a proxy's 504", 502, false, refuse(504, "text/html", true)},
		{"a status of nobody", 502, false, refuse(202, "application/json", true)},
		{"killed before it answers", 502, false, func(http.ResponseWriter, *http.Request, func()) { panic(http.ErrAbortHandler) }},
		{"killed after it has opened the account", 502, false, func(_ http.ResponseWriter, _ *http.Request, open func()) {
			open()
			panic(http.ErrAbortHandler)
		}},
	} {
		for _, path := range []string{kit.Closes, kit.Leaks} {
			t.Run(c.name+" "+path, func(t *testing.T) {
				t.Parallel()
				k := impatient()
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
				f.neither(t)
				if _, closed := f.billing.has(); (closed == 0) != c.sure {
					t.Errorf("billing was told to close %d accounts", closed)
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

func (f *fixture) leavePending(t *testing.T, email string, opened bool) *customer {
	t.Helper()
	c := &customer{ID: newID(), Email: email, PasswordHash: "x", FirstName: "A", LastName: "B", State: pending, Created: time.Now()}
	if err := f.customers.insert(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	f.billing.mu.Lock()
	defer f.billing.mu.Unlock()
	if opened {
		f.billing.accounts[c.ID] = true
	}
	return c
}

// Whatever step a process died after, the next one over the same store ends with neither, by itself.
func TestWhatACrashLeavesIsUndone(t *testing.T) {
	f := start(t, impatient())
	f.settling.close() // this process settles nothing any more
	f.leavePending(t, "0@load.example", false)
	f.leavePending(t, "1@load.example", true)
	for i, opened := range []bool{false, true} { // died after the undo, before billing was told
		c := f.leavePending(t, strconv.Itoa(2+i)+"@load.example", opened)
		if err := f.customers.undo(t.Context(), c.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	f.open(t) // the process starts again
	f.neither(t)
	if _, closed := f.billing.has(); closed != 4 {
		t.Errorf("billing was told to close %d accounts, want 4", closed)
	}
	if got := f.metric(t, `registrations_settled_total{outcome="confirmed"}`); got != 4 {
		t.Errorf("settled %v, want 4", got)
	}
}

func TestWhatIsOwedToBillingIsPaidOnceBillingIsBack(t *testing.T) {
	for _, lost := range []bool{false, true} { // it is away, or its answers are
		f := start(t, impatient())
		f.billing.lose.Store(lost)
		f.billing.away.Store(!lost)
		f.leavePending(t, "ada@load.example", true)
		eventually(t, "a failed attempt", func() bool { return f.metric(t, `registrations_settled_total{outcome="failed"}`) > 0 })
		if all, _ := f.rows(t); all != 0 || f.owes(t) != 1 {
			t.Errorf("without billing: %d customers, %d owed", all, f.owes(t))
		}
		eventually(t, "registrations_unsettled 1", func() bool { return f.metric(t, "registrations_unsettled") == 1 })
		f.billing.away.Store(false)
		if status, answer := f.register(t, "ada@load.example"); status != http.StatusCreated { // its address is free already
			t.Errorf("registering the address: %d %v", status, answer)
		}
		f.billing.lose.Store(false)
		eventually(t, "the debt paid", func() bool { return f.owes(t) == 0 })
		accounts, _ := f.billing.has()
		if all, active := f.rows(t); all != 1 || active != 1 || accounts != 1 {
			t.Errorf("%d customers, %d active, %d accounts", all, active, accounts)
		}
	}
}

// A registration that takes longer than settle_after is undone while billing works, and fails when billing has answered.
func TestARegistrationThatTakesTooLongIsUndone(t *testing.T) {
	f := start(t, impatient())
	finish := make(chan struct{})
	f.billing.answer(func(_ http.ResponseWriter, _ *http.Request, open func()) {
		<-finish
		open()
	})
	statuses := make(chan int, 1)
	go func() {
		status, _, _, _ := f.request(t.Context(), "POST", "/auth/register", form("ada@load.example"))
		statuses <- status
	}()
	eventually(t, "billing told to close", func() bool { _, closed := f.billing.has(); return closed == 1 })
	close(finish)
	if status := <-statuses; status != http.StatusServiceUnavailable {
		t.Errorf("%d, want 503", status)
	}
	f.neither(t)
}

// When not even the store can tell whether the customer exists, any answer could be untrue.
func TestAnActivationOfUnknownOutcomeIsNotAnswered(t *testing.T) {
	f := start(t, impatient())
	f.billing.answer(func(w http.ResponseWriter, _ *http.Request, open func()) {
		open()
		if _, err := f.db.ExecContext(context.Background(), `ALTER TABLE customers RENAME TO out_of_reach`); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusOK)
	})
	if status, _, _, err := f.request(t.Context(), "POST", "/auth/register", form("ada@load.example")); err == nil {
		t.Errorf("answered %d", status)
	}
	if _, err := f.db.ExecContext(t.Context(), `ALTER TABLE out_of_reach RENAME TO customers`); err != nil {
		t.Fatal(err)
	}
	f.neither(t)
}

// The settler has a client of its own, whose health the knobs do not touch: it gets through where users do not.
func TestTheSettlerNeedsNothingOfTheUsersClient(t *testing.T) {
	k := impatient()
	k.Client, k.ErrorPath, k.ReadTimeout, k.Semaphore, k.SemaphoreWait, k.Breaker, k.BreakerOpen = kit.PerRequest, kit.Leaks, 0, 1, 0, 1, time.Hour
	f := start(t, k)
	hung := make(chan struct{})
	f.billing.answer(func(http.ResponseWriter, *http.Request, func()) { <-hung })
	ctx, goAway := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _, _, _ = f.request(ctx, "POST", "/auth/register", form("ada@load.example"))
	}()
	f.leavePending(t, "bob@load.example", true)
	f.neither(t)
	if state := f.metric(t, `circuit_breaker_state{downstream="billing"}`); state != 0 {
		t.Errorf("circuit_breaker_state = %v", state)
	}
	goAway()
	<-ended
	close(hung)
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
