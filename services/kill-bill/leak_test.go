package killbill

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A client that returns on an error status without closing the body keeps the connection: with one connection allowed,
// one refusal blocks it for ever. A creation, which has no body, never does. This is why refusals carry one.
func TestAnUnclosedRefusalKeepsTheClientsConnection(t *testing.T) {
	s := serveSite(t, Config{Dir: t.TempDir(), Slots: 1, Queue: 1, ServiceTime: time.Minute, CV: 0.001})
	transport := &http.Transport{MaxConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	leaky := func(ctx context.Context) (*http.Response, error) {
		r, err := http.NewRequestWithContext(ctx, "POST", s.url+"/1.0/kb/accounts", strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = credentials(nil)
		return transport.RoundTrip(r)
	}
	var held sync.WaitGroup
	for range 2 { // one in service, one in line
		held.Go(func() { s.ask("POST", "/1.0/kb/accounts", `{}`, nil) })
	}
	for {
		if busy, queued := s.slots.load(); busy == 1 && queued == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	refused, err := leaky(t.Context())
	if err != nil || refused.StatusCode != http.StatusServiceUnavailable || refused.ContentLength <= 0 || refused.Header.Get("Retry-After") == "" {
		t.Fatalf("%+v %v", refused, err)
	}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := leaky(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the next call: %v, want it to wait for the connection", err)
	}

	if err := s.Close(); err != nil { // ends the modelled minute, so the line drains
		t.Fatal(err)
	}
	held.Wait()
	refused.Body.Close()
}

func TestUnclosedCreationsKeepNothing(t *testing.T) {
	s := serveSite(t, quick(t))
	transport := &http.Transport{MaxConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "POST", s.url+"/1.0/kb/accounts", strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = credentials(nil)
		if resp, err := transport.RoundTrip(r); err != nil || resp.StatusCode != http.StatusCreated {
			t.Fatalf("%v %v", resp, err)
		}
	}
}
