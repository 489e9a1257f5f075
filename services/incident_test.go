package services

import (
	"context"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// health times the health check of a service on a connection that stays open.
type health struct {
	client *http.Client
	url    string
}

func keptHealth(url string) health {
	return health{&http.Client{Transport: &http.Transport{}, Timeout: time.Minute}, url + "/health"}
}

func (h health) ask() int {
	resp, err := h.client.Get(h.url)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// fresh is a client without a connection yet.
func fresh(patience time.Duration) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
}

// probeTimeout is how long the default liveness probe of Kubernetes waits, and a second more.
const probeTimeout = 2 * time.Second

// The incident as it was: fifty registrations at once, and a service that stays stuck when they are gone, with a health
// check that says it is fine. What is planted is real, so nothing here is timed but the minute that it must stay stuck.
func TestBeforeIsStuckUntilItIsRestarted(t *testing.T) {
	longTest(t)
	s := startStack(t, "before", nil)
	user := s.url("user")
	kept := keptHealth(user)
	kept.ask()

	done := make(chan []answer, 1)
	go func() { done <- load(t, user, 50, 10*time.Second, 30*time.Second) }()
	late := 0
	var all []answer
	for all == nil {
		select {
		case all = <-done:
		case <-time.After(time.Second):
			if get(user+"/health", probeTimeout) != http.StatusOK {
				late++
			}
		}
	}
	released := time.Now()
	counted := byStatus(all)
	t.Logf("%d registrations: %v by status; health late on %d fresh connections", len(all), counted, late)
	if late == 0 {
		t.Error("health on a fresh connection was never late under load")
	}
	if failed := len(all) - counted[http.StatusCreated]; failed < 5 {
		t.Errorf("only %d of %d registrations failed", failed, len(all))
	}

	t.Parallel() // the other tests run while this one waits for its minute
	if wait := time.Minute - time.Since(released); wait > 0 {
		time.Sleep(wait)
	}
	stuck := time.Since(released).Round(time.Second)
	for range 3 {
		if a := registerOnce(t.Context(), fresh(5*time.Second), user); a.status == http.StatusCreated {
			t.Errorf("%s after the load a registration was answered %d", stuck, a.status)
		}
	}
	if status := kept.ask(); status != http.StatusOK {
		t.Errorf("%s after the load the kept connection says %d: a stuck service that knows it is no deception", stuck, status)
	}

	if err := s.end(t, "user", syscall.SIGTERM); err != nil { // it was alive all the time
		t.Errorf("stopping the stuck service: %v", err)
	}
	s.again(t, "user")
	for range 3 {
		if a := registerOnce(t.Context(), fresh(30*time.Second), user); a.status != http.StatusCreated {
			t.Errorf("after the restart: %d %v", a.status, a.err)
		}
	}
}

// Four loops carry the fifty, slowly, and are well again when they are gone. Phase2 is faster where it was cured: what does not
// hash does not wait for those that do.
func TestPhase1IsSlowerThanPhase2AndHealsByItself(t *testing.T) {
	longTest(t)
	waits := map[string]time.Duration{}
	for _, profile := range []string{"phase1", "phase2"} {
		s := startStack(t, profile, nil)
		done := make(chan []answer, 1)
		go func() { done <- load(t, s.url("user"), 50, time.Second, 2*time.Minute) }()
		var all []answer
		for all == nil {
			select {
			case all = <-done:
			case <-time.After(100 * time.Millisecond):
				began := time.Now()
				get(s.url("user")+"/health", time.Minute)
				waits[profile] = max(waits[profile], time.Since(began))
			}
		}
		if n := byStatus(all); n[http.StatusCreated] < 50 || len(n) != 1 {
			t.Errorf("%s: registrations by status: %v", profile, n)
		}
		healed(t, s.url("user"), 10*time.Second)
		for _, service := range Names() {
			_ = s.end(t, service, syscall.SIGTERM)
		}
	}
	t.Logf("the longest health check under load: %s in phase1, %s in phase2", waits["phase1"], waits["phase2"])
	if waits["phase1"] < 3*waits["phase2"] {
		t.Errorf("a health check takes up to %s in phase1 and %s in phase2: hashing does not hold it up", waits["phase1"], waits["phase2"])
	}
}

// Beyond its bound phase2 refuses at once and says when to come back; within it every registration succeeds.
func TestPhase2CarriesAHundredAndShedsTheRest(t *testing.T) {
	longTest(t)
	s := startStack(t, "phase2", nil)
	user := s.url("user")
	within := make(chan []answer, 1)
	go func() { within <- load(t, user, 120, time.Millisecond, 3*time.Minute) }()
	waitForMetric(t, user, "http_requests_in_progress 120")
	if status := get(user+"/health", probeTimeout); status != http.StatusOK {
		t.Errorf("health with 120 in flight: %d", status)
	}
	beyond := load(t, user, 40, time.Millisecond, 3*time.Minute) // 8 find room
	shed := 0
	for _, a := range beyond {
		switch {
		case a.status == http.StatusServiceUnavailable && a.retryAfter != "":
			shed++
		case a.status != http.StatusCreated:
			t.Errorf("beyond the bound: %d, Retry-After %q, %v", a.status, a.retryAfter, a.err)
		}
	}
	if shed < 20 {
		t.Errorf("%d of 40 shed, want about 32", shed)
	}
	if n := byStatus(<-within); n[http.StatusCreated] != 120 {
		t.Errorf("120 at once, by status: %v", n)
	}
	healed(t, user, 10*time.Second)
}

// healed waits until registrations succeed as fast as a lone one should: a hash, and Kill Bill's 200 ms.
func healed(t *testing.T, url string, within time.Duration) {
	t.Helper()
	released := time.Now()
	for row := 0; row < 3; {
		a := registerOnce(t.Context(), fresh(30*time.Second), url)
		if a.status == http.StatusCreated && a.took < 3*time.Second {
			row++
		} else {
			row = 0
		}
		if time.Since(released) > within+3*time.Second {
			t.Fatalf("not well %s after the load: %d in %s, %v", time.Since(released).Round(time.Second), a.status, a.took, a.err)
		}
	}
	t.Logf("well again within %s", time.Since(released).Round(100*time.Millisecond))
}

// With Kill Bill stalled the breakers open, and while they are open a registration is refused before its hash is computed.
func TestPhase3FailsFastAndRecovers(t *testing.T) {
	longTest(t)
	s := startStack(t, "phase3", map[string]string{"read_timeout": "500ms", "breaker_open": "3s"})
	user := s.url("user")
	setFaults(t, s.url("kill-bill"), `{"faults":[{"kind":"stall","paths":["/1.0/kb/"]}]}`)
	all := load(t, user, 8, time.Millisecond, time.Minute)
	if n := byStatus(all); n[http.StatusCreated] > 0 || n[0] > 0 {
		t.Errorf("with Kill Bill stalled, by status: %v", n)
	}
	const open = `circuit_breaker_state{downstream="billing"}`
	if state := gauge(t, user, open); state != 2 {
		t.Fatalf("after %d failures the breaker is in state %v, want 2 (open)", len(all), state)
	}
	opened := time.Now()
	hashes := gauge(t, user, "hashes_total")
	var took []time.Duration
	for time.Since(opened) < 1500*time.Millisecond {
		a := registerOnce(t.Context(), fresh(time.Minute), user)
		if a.status != http.StatusServiceUnavailable || a.retryAfter == "" {
			t.Fatalf("while open: %d, Retry-After %q, %v", a.status, a.retryAfter, a.err)
		}
		took = append(took, a.took)
	}
	if now := gauge(t, user, "hashes_total"); now != hashes {
		t.Errorf("%v hashes computed for registrations that were refused", now-hashes)
	}
	if median := medianOf(took); median > 50*time.Millisecond {
		t.Errorf("refused in %s (median of %d), want under 50 ms", median, len(took))
	}
	if held := gauge(t, s.url("billing"), `http_client_connections_in_use{downstream="kill-bill"}`); held != 0 {
		t.Errorf("%v calls wait for Kill Bill while the breaker is open", held)
	}

	setFaults(t, s.url("kill-bill"), `{"faults":[]}`)
	deadline, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for registerOnce(deadline, fresh(10*time.Second), user).status != http.StatusCreated {
		if !pause(deadline, 100*time.Millisecond) {
			t.Fatal("the breaker never closed again")
		}
	}
	for _, at := range []struct{ url, name string }{{user, open}, {s.url("billing"), `circuit_breaker_state{downstream="kill-bill"}`}} {
		if state := gauge(t, at.url, at.name); state != 0 {
			t.Errorf("%s is %v after a success, want 0 (closed)", at.name, state)
		}
	}
}

// Hashing is what limits phase2: its pool is busy for at least nine tenths of the time while four services and the load share
// the cores. docs/reference-services.md says where the rest goes.
func TestPhase2ReachesItsHashLimit(t *testing.T) {
	longTest(t)
	s := startStack(t, "phase2", nil)
	user := s.url("user")
	done := make(chan []answer, 1)
	go func() { done <- load(t, user, 20, 15*time.Second, time.Minute) }()
	waitForMetric(t, user, "http_requests_in_progress 20")
	type reading struct {
		at                     time.Time
		seconds, hashes, slots float64
	}
	read := func() reading {
		return reading{time.Now(), gauge(t, user, "hash_seconds_total"), gauge(t, user, "hashes_total"), gauge(t, user, "hash_pool_size")}
	}
	from := read()
	time.Sleep(12 * time.Second)
	to := read()
	<-done
	each := (to.seconds - from.seconds) / (to.hashes - from.hashes)
	limit, got := to.slots/each, (to.hashes-from.hashes)/to.at.Sub(from.at).Seconds()
	t.Logf("%.2f hashes/s of %.2f/s that %v slots allow at %.0f ms each: %.1f %%", got, limit, to.slots, 1000*each, 100*got/limit)
	if got < 0.9*limit {
		t.Errorf("%.2f/s is below nine tenths of the limit %.2f/s", got, limit)
	}
}
