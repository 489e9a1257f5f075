package services

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/captest/captest/services/kit"
	"github.com/captest/captest/services/kit/storetest"
)

// crowd registers customers, one after the other at each of its users, and remembers what each was answered.
type crowd struct {
	mu      sync.Mutex
	answers map[string]int // by e-mail; 0: no answer at all
	stop    chan struct{}
	users   sync.WaitGroup
}

func newCrowd(users int, url string) *crowd {
	c := &crowd{answers: map[string]int{}, stop: make(chan struct{})}
	for u := range users {
		c.users.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
			defer client.CloseIdleConnections()
			for n := 0; ; n++ {
				select {
				case <-c.stop:
					return
				default:
				}
				email, status := fmt.Sprintf("u%d-%d@load.example", u, n), 0
				resp, err := client.Post(url+"/auth/register", "application/json", strings.NewReader(registration(email)))
				if err == nil {
					status = resp.StatusCode
					_ = resp.Body.Close()
				}
				c.mu.Lock()
				c.answers[email] = status
				c.mu.Unlock()
				if status != http.StatusCreated {
					time.Sleep(5 * time.Millisecond) // no use asking a dead service as fast as it can refuse
				}
			}
		})
	}
	return c
}

// count gives how many e-mails were answered with each status.
func (c *crowd) count() map[int]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := map[int]int{}
	for _, status := range c.answers {
		n[status]++
	}
	return n
}

// end lets each user finish the registration it is at.
func (c *crowd) end() {
	close(c.stop)
	c.users.Wait()
}

// remains is what the three stores hold once everything has stopped.
type remains struct {
	active map[string]string // e-mail → customer, of those that exist
	open   map[string]string // customer → Kill Bill account, as billing has it
	alive  map[string]string // customer → Kill Bill account, not closed, as Kill Bill has it
	half   []string          // everything that is neither done nor undone
}

// readRemains reads the stores that services run with the given options have left.
func readRemains(t *testing.T, options map[string]Options) remains {
	t.Helper()
	h := remains{active: map[string]string{}, open: map[string]string{}, alive: map[string]string{}}
	each := func(service, query string, row func(a, b, c string)) {
		store := options[service].store()
		store.Pool = 1
		db, err := kit.OpenStore(t.Context(), store, "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		rows, err := db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatalf("%s: %v", service, err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var a, b, c string
			if err := rows.Scan(&a, &b, &c); err != nil {
				t.Fatalf("%s: %v", service, err)
			}
			row(a, b, c)
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("%s: %v", service, err)
		}
	}
	each("user", `SELECT email, id, state FROM customers`, func(email, id, state string) {
		if h.active[email] = id; state != "active" {
			h.half = append(h.half, "customer "+email+" "+state)
		}
	})
	each("user", `SELECT customer_id, '', '' FROM undone`, func(id, _, _ string) { h.half = append(h.half, "undone "+id) })
	each("billing", `SELECT customer_id, kill_bill_account_id, state FROM accounts`, func(customer, id, state string) {
		switch state {
		case "open":
			h.open[customer] = id
		case "closed":
		default:
			h.half = append(h.half, "account of "+customer+" "+state)
		}
	})
	each("kill-bill", `SELECT external_key, id, '' FROM accounts
		WHERE id NOT IN (SELECT blocked_id FROM blocking_states WHERE state = 'CLOSE_ACCOUNT')`, func(key, id, _ string) { h.alive[key] = id })
	return h
}

// Whichever process is killed at whatever instant: who was told 201 has a customer and an account everywhere, who was
// told anything else has nothing anywhere, and who was told nothing has all or nothing.
func TestNoCustomerIsLostOrHalfRegisteredWhateverIsKilled(t *testing.T) {
	dir, store := t.TempDir(), storetest.URL(t)
	options := map[string]Options{}
	running := map[string]*process{}
	order, downstream := []string{"kill-bill", "billing", "user"}, map[string]string{}
	for _, name := range order {
		o := Options{
			Service: name, Profile: "phase2", Dir: dir, Store: store, Downstream: maps.Clone(downstream),
			Set: map[string]string{"hash_cost": "4", "settle_after": "1s", "kill-bill.service_time": "20ms"},
		}
		running[name] = startProcess(t, o)
		o.Listen = strings.TrimPrefix(running[name].url, "http://")
		options[name], downstream[name] = o, running[name].url
	}
	people := newCrowd(6, running["user"].url)
	made := 0
	for round := range 2 {
		for i, victim := range order {
			made += 10 + 3*i + 7*round // not always at the same point of a registration
			eventually(t, fmt.Sprint(made, " registrations"), func() bool { return people.count()[http.StatusCreated] >= made })
			if err := running[victim].Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = running[victim].Wait()
			made = people.count()[http.StatusCreated]
			// From its first restart, billing opens the account of a caller that has died, which only the caller can take back.
			options["billing"].Set["billing.abandoned"] = "continues"
			running[victim] = startProcess(t, options[victim])
		}
	}
	eventually(t, "more registrations", func() bool { return people.count()[http.StatusCreated] >= made+10 })
	people.end()
	count := people.count()
	t.Logf("answers by status, 0 for none: %v", count)
	if count[http.StatusCreated]+count[0] == len(people.answers) {
		t.Error("nothing failed with an answer: the test has not tested it")
	}

	// The gauges count what has been half done for settle_after, as of the last look: they mean something from then on.
	quiet := time.Now().Add(2 * time.Second)
	eventually(t, "everything settled", func() bool {
		for service, gauge := range map[string]string{"user": "registrations_unsettled", "billing": "accounts_unsettled"} {
			if !strings.Contains(scrape(t, running[service].url), "\n"+gauge+" 0\n") {
				quiet = time.Now().Add(2 * time.Second)
				return false
			}
		}
		return time.Now().After(quiet)
	})
	for _, name := range []string{"user", "billing", "kill-bill"} {
		_ = running[name].lifeline.Close()
		if err := running[name].Wait(); err != nil {
			t.Errorf("stop %s: %v\n%s", name, err, running[name].log)
		}
	}

	h := readRemains(t, options)
	if len(h.half) > 0 {
		t.Errorf("neither done nor undone: %v", h.half)
	}
	for email, status := range people.answers {
		_, exists := h.active[email]
		if status == http.StatusCreated && !exists {
			t.Errorf("lost: %s was told 201", email)
		}
		if status != http.StatusCreated && status != 0 && exists {
			t.Errorf("%s was told %d and exists", email, status)
		}
	}
	customers := slices.Sorted(maps.Values(h.active))
	if accounts := slices.Sorted(maps.Keys(h.open)); !slices.Equal(customers, accounts) {
		t.Errorf("%d customers, but %d open accounts at billing", len(customers), len(accounts))
	}
	if !maps.Equal(h.open, h.alive) {
		t.Errorf("%d open accounts at billing, but %d at Kill Bill", len(h.open), len(h.alive))
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("never saw "+what))
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatal(context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
}
