package services

import (
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
)

// held is what a process may leak, counted from outside where the kernel knows it.
type held struct {
	descriptors, goroutines, connections, sql float64
}

// holds counts what a service holds. The scrape's own connection and goroutines are in every count alike.
func (s *stack) holds(t *testing.T, service, downstream string) held {
	t.Helper()
	url := s.url(service)
	h := held{goroutines: gauge(t, url, "go_goroutines")}
	if downstream != "" {
		h.connections = gauge(t, url, `http_client_connections_open{downstream="`+downstream+`"}`)
		h.sql = gauge(t, url, `go_sql_in_use_connections{db_name="`+service+`"}`)
	}
	if runtime.GOOS == "linux" {
		entries, err := os.ReadDir("/proc/" + strconv.Itoa(s.process[service].Process.Pid) + "/fd")
		if err != nil {
			t.Fatal(err)
		}
		h.descriptors = float64(len(entries))
	}
	return h
}

// above says what h has more of than rest, beyond a scrape or two that may be under way.
func (h held) above(rest held) bool {
	const slack = 2
	return h.descriptors > rest.descriptors+slack || h.goroutines > rest.goroutines+2*slack ||
		h.connections > rest.connections || h.sql > rest.sql
}

// comesBack waits until a service holds no more than at rest.
func (s *stack) comesBack(t *testing.T, service, downstream string, rest held) {
	t.Helper()
	now := s.holds(t, service, downstream)
	for deadline := time.Now().Add(15 * time.Second); now.above(rest); now = s.holds(t, service, downstream) {
		if time.Now().After(deadline) {
			t.Errorf("%s held %+v at rest and holds %+v after", service, rest, now)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Idle connections go within a second here, so that what is left is what leaks.
func quickIdle(more map[string]string) map[string]string {
	set := map[string]string{
		"hash_cost": "4", "kill-bill.service_time": "5ms", "keepalive_expiry": "200ms",
		"user.idle_timeout": "1s", "billing.idle_timeout": "1s", "instance.idle_timeout": "1s", "kill-bill.idle_timeout": "1s",
	}
	for k, v := range more {
		set[k] = v
	}
	return set
}

// A cured stack is after trouble what it was before; each leaking knob leaves one thing behind for each failed call, and only
// where it leaks.
func TestCuredServicesHoldNothingAndLeakingOnesDo(t *testing.T) {
	const failures = 12 // fewer than the pool has connections, so that none of them waits
	pairs := [][2]string{{"user", "billing"}, {"billing", "kill-bill"}, {"kill-bill", ""}}
	for _, c := range []struct {
		name, profile string
		set           map[string]string
		where         string // the service that leaks; "" for none
		leaked        func(h, rest held) float64
	}{
		{name: "phase2", profile: "phase2"},
		{name: "phase3", profile: "phase3", set: map[string]string{"breaker_open": "500ms"}},
		{
			name: "billing.error_path=leaks", profile: "phase2", set: map[string]string{"billing.error_path": "leaks"}, where: "billing",
			leaked: func(h, rest held) float64 { return h.connections - rest.connections },
		},
		{
			name: "user.error_path=leaks", profile: "phase2", set: map[string]string{"user.error_path": "leaks"}, where: "user",
			leaked: func(h, rest held) float64 { return h.connections - rest.connections },
		},
		{
			name: "user.undo=leaks", profile: "phase2", set: map[string]string{"user.undo": "leaks", "user.db_pool": "20"}, where: "user",
			leaked: func(h, rest held) float64 { return h.sql - rest.sql },
		},
		{
			name: "billing.client=per-request", profile: "phase2", where: "billing",
			set:    map[string]string{"billing.client": "per-request", "kill-bill.idle_timeout": "none"},
			leaked: func(h, rest held) float64 { return h.connections - rest.connections },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startStack(t, c.profile, quickIdle(c.set))
			user, killBill := s.url("user"), s.url("kill-bill")
			burst := func(want int) {
				var wg sync.WaitGroup
				for range failures {
					wg.Go(func() {
						client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
						defer client.CloseIdleConnections()
						if a := registerOnce(t.Context(), client, user); want != 0 && a.status != want {
							t.Errorf("register: %d %v, want %d", a.status, a.err, want)
						}
					})
				}
				wg.Wait()
			}
			burst(http.StatusCreated) // pools, caches and the store's connections are warm after it
			time.Sleep(2 * time.Second)
			rest := map[string]held{}
			for _, p := range pairs {
				rest[p[0]] = s.holds(t, p[0], p[1])
			}
			setFaults(t, killBill, `{"faults":[{"kind":"error","status":500,"paths":["/1.0/kb/accounts"]}]}`)
			burst(0)
			setFaults(t, killBill, `{"faults":[]}`)
			if c.where == "" {
				time.Sleep(600 * time.Millisecond) // phase3's breaker is half-open
				for range 3 {
					registerOnce(t.Context(), fresh(20*time.Second), user)
				}
			}

			if c.where != "" {
				time.Sleep(3 * time.Second) // everything that is only idle has gone by now
			}
			for _, p := range pairs {
				service, before := p[0], rest[p[0]]
				switch {
				case service == c.where:
					now := s.holds(t, service, p[1])
					if n := c.leaked(now, before); n < failures {
						t.Errorf("%v of %d failures left something behind at %s: %+v at rest, %+v after", n, failures, service, before, now)
					}
					if runtime.GOOS == "linux" && now.sql == before.sql && now.descriptors < before.descriptors+failures {
						t.Errorf("%s: the leaked connections are no descriptors: %v at rest, %v after", service, before.descriptors, now.descriptors)
					}
				case c.where == "": // where something leaks, who is called holds the other end of it
					s.comesBack(t, service, p[1], before)
				}
			}
		})
	}
}
