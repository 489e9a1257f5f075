package services

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/captest/captest/services/kit/storetest"
)

// stack is the four services as processes of their own, as captest runs them.
type stack struct {
	options map[string]Options
	process map[string]*process
}

// startStack starts them all under a profile, innermost first.
func startStack(t *testing.T, profile string, set map[string]string) *stack {
	t.Helper()
	s := &stack{options: map[string]Options{}, process: map[string]*process{}}
	dir, url, store := t.TempDir(), map[string]string{}, storetest.URL(t)
	for _, name := range Names() {
		s.options[name] = Options{Service: name, Profile: profile, Set: set, Dir: dir, Store: store, Downstream: url}
		s.process[name] = startProcess(t, s.options[name])
		url[name] = s.process[name].url
	}
	for _, name := range Names() {
		awaitReady(t, s.process[name].url)
	}
	return s
}

func (s *stack) url(service string) string { return s.process[service].url }

// end stops a service with a signal and waits until it is gone.
func (s *stack) end(t *testing.T, service string, with syscall.Signal) error {
	t.Helper()
	if err := s.process[service].Process.Signal(with); err != nil {
		t.Fatalf("%s: %v", service, err)
	}
	return s.process[service].Wait()
}

// again starts a service that has ended, at the same address.
func (s *stack) again(t *testing.T, service string) {
	t.Helper()
	o := s.options[service]
	o.Listen = strings.TrimPrefix(s.url(service), "http://")
	s.process[service] = startProcess(t, o)
	awaitReady(t, s.url(service))
}

func awaitReady(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if get(url+"/ready", 5*time.Second) == http.StatusOK {
			return
		}
	}
	t.Fatalf("%s is not ready", url)
}

// get asks on a connection of its own and gives the status, 0 for no answer in time.
func get(url string, patience time.Duration) int {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := c.Get(url)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// answer is what one registration got.
type answer struct {
	email      string
	status     int // 0: no answer
	retryAfter string
	took       time.Duration
	err        error
}

var customers atomic.Int64

// registerOnce registers a customer nobody has registered before.
func registerOnce(ctx context.Context, c *http.Client, url string) answer {
	a := answer{email: fmt.Sprintf("u%d@load.example", customers.Add(1))}
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/auth/register", strings.NewReader(registration(a.email)))
	if err != nil {
		a.err = err
		return a
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		a.status, a.retryAfter = resp.StatusCode, resp.Header.Get("Retry-After")
	}
	a.took, a.err = time.Since(began), err
	if err != nil {
		a.status = 0
	}
	return a
}

// load has users register one customer after the other, each over a connection of its own, until the time is up; then
// those under way have their patience to end.
func load(t *testing.T, url string, users int, lasts, patience time.Duration) []answer {
	t.Helper()
	var mu sync.Mutex
	var all []answer
	var wg sync.WaitGroup
	until := time.Now().Add(lasts)
	for range users {
		wg.Go(func() {
			c := &http.Client{Transport: &http.Transport{}, Timeout: patience}
			defer c.CloseIdleConnections()
			for first := true; first || time.Now().Before(until); first = false {
				a := registerOnce(t.Context(), c, url)
				mu.Lock()
				all = append(all, a)
				mu.Unlock()
				if a.status != http.StatusCreated && !pause(t.Context(), 100*time.Millisecond) {
					return // a refusal costs nothing: without a pause it would be asked for thousands of times
				}
			}
		})
	}
	wg.Wait()
	return all
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// byStatus counts answers; 0 are those that never came.
func byStatus(all []answer) map[int]int {
	n := map[int]int{}
	for _, a := range all {
		n[a.status]++
	}
	return n
}

// setFaults puts faults in force at a service, none ends them.
func setFaults(t *testing.T, url, faults string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/control/faults", bytes.NewReader([]byte(faults)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("faults: %s", resp.Status)
	}
}

// gauge reads one metric of a service; the name carries its labels.
func gauge(t *testing.T, url, name string) float64 {
	t.Helper()
	for line := range strings.SplitSeq(scrape(t, url), "\n") {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return v
		}
	}
	t.Fatalf("%s has no metric %s", url, name)
	return 0
}

// longTest leaves out under -short what takes real hashing and real waiting, and the second time where the store is not the
// point.
func longTest(t *testing.T) {
	t.Helper()
	if testing.Short() || storetest.Postgres() {
		t.Skip("takes a while: left out by -short, and run against one store only")
	}
}

func medianOf(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)/2]
}
