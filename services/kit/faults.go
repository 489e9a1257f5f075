package kit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// FaultsPath is where the faults of a service are shown (GET), set (PUT) and cleared (DELETE).
const FaultsPath = "/control/faults"

// Bounds of what the control endpoint accepts, and of what a held request may keep in memory.
const (
	faultsBodyLimit = 64 << 10
	faultsMax       = 32
	faultHeldBody   = 1 << 20
)

// Kinds of fault.
const (
	FaultDelay = "delay" // wait Delay, then serve
	FaultError = "error" // answer Status at once
	FaultStall = "stall" // hold without answering until the client goes or the fault ends, then serve
	FaultReset = "reset" // close the connection with a TCP RST
)

// Fault is one thing that goes wrong on purpose, as the control endpoint reads and shows it.
type Fault struct {
	Kind        string   `json:"kind"`
	Probability *float64 `json:"probability,omitempty"` // 0–1, share of requests hit; absent means 1
	For         string   `json:"for,omitempty"`         // how long it stays in force ("30s"); absent means until cleared
	Delay       string   `json:"delay,omitempty"`       // delay only: how long each hit request waits
	Status      int      `json:"status,omitempty"`      // error only: 400–599; absent means 503
	Paths       []string `json:"paths,omitempty"`       // path prefixes it applies to; absent means every path, probes too
	Remaining   string   `json:"remaining,omitempty"`   // shown only: time left in force
	Hits        uint64   `json:"hits,omitempty"`        // shown only: requests hit so far
}

// Faults is middleware that breaks requests on purpose while a service runs.
// Its control endpoint answers to loopback peers only and is itself never affected by a fault.
type Faults struct {
	mu      sync.Mutex
	rng     *rand.Rand
	active  []*faultInForce
	changed chan struct{} // closed when the set is replaced: releases stalled requests
}

// faultInForce is a checked fault with its numbers resolved.
type faultInForce struct {
	Fault
	probability float64
	delay       time.Duration
	until       time.Time // zero: until cleared
}

// faultHit is what one request has to suffer.
type faultHit struct {
	fault   *faultInForce
	changed <-chan struct{}
}

// NewFaults returns middleware without any fault; equal seeds choose the same requests of an equal sequence.
func NewFaults(seed uint64) *Faults {
	return &Faults{rng: rand.New(rand.NewPCG(seed, 0xfa017)), changed: make(chan struct{})}
}

// Wrap puts the faults and their control endpoint before next. It belongs outside admission control, so that the
// endpoint still answers when the service is full.
func (f *Faults) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == FaultsPath {
			f.control(w, r)
			return
		}
		for _, hit := range f.draw(r.URL.Path) {
			if hit.suffer(w, r) {
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// draw chooses which of the faults in force hit a request for path.
func (f *Faults) draw(path string) []faultHit {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.active) == 0 {
		return nil
	}
	now := time.Now()
	var hits []faultHit
	for _, a := range f.active {
		if !a.until.IsZero() && !now.Before(a.until) || !a.covers(path) {
			continue
		}
		if a.probability < 1 && f.rng.Float64() >= a.probability {
			continue
		}
		a.Hits++
		hits = append(hits, faultHit{fault: a, changed: f.changed})
	}
	return hits
}

func (a *faultInForce) covers(path string) bool {
	for _, p := range a.Paths {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return len(a.Paths) == 0
}

// suffer applies the fault and reports whether the request is over.
func (h faultHit) suffer(w http.ResponseWriter, r *http.Request) (over bool) {
	switch h.fault.Kind {
	case FaultDelay:
		holdFaultBody(r)
		h.wait(r, h.fault.delay, nil)
	case FaultStall:
		holdFaultBody(r)
		left := time.Duration(-1)
		if !h.fault.until.IsZero() {
			left = max(0, time.Until(h.fault.until))
		}
		h.wait(r, left, h.changed)
	case FaultError:
		faultAnswer(w, h.fault.Status, "fault", "injected fault")
		return true
	case FaultReset:
		resetConnection(w)
		return true
	}
	return false
}

// wait blocks for d (negative: no limit), until changed, or until the client is gone. A client that is gone gets no
// answer at all: an empty 200 would look like a success to a proxy or to a server that is merely shutting down.
func (h faultHit) wait(r *http.Request, d time.Duration, changed <-chan struct{}) {
	var after <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-after:
	case <-changed:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
}

// holdFaultBody reads the request body ahead: net/http notices that a client has gone only once the body is consumed.
// What is beyond the bound stays in the connection.
func holdFaultBody(r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	read, err := io.ReadAll(io.LimitReader(r.Body, faultHeldBody))
	rest := io.Reader(r.Body)
	if err != nil {
		rest = failedBody{err}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), rest), r.Body}
}

// failedBody repeats a read error to the handler that comes next.
type failedBody struct{ err error }

func (b failedBody) Read([]byte) (int, error) { return 0, b.err }

// resetConnection closes the connection so that the peer sees a reset instead of an orderly end: with a linger time of
// zero the kernel discards what is unsent and sends RST.
func resetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 has no connection of its own to reset
	}
	for inner := conn; inner != nil; {
		if l, ok := inner.(interface{ SetLinger(sec int) error }); ok {
			_ = l.SetLinger(0)
			break
		}
		wrapped, ok := inner.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		inner = wrapped.NetConn()
	}
	_ = conn.Close()
}

// control serves FaultsPath.
func (f *Faults) control(w http.ResponseWriter, r *http.Request) {
	// A browser sends Origin with the writes of a page, so a page open on this machine cannot break a service. Nor can one
	// whose name was made to point here after it was loaded (DNS rebinding): its Host is still that name.
	if !faultPeerIsLoopback(r.RemoteAddr) || !faultHostIsLoopback(r.Host) || r.Header.Get("Origin") != "" {
		faultAnswer(w, http.StatusForbidden, "forbidden", "faults are controlled from this machine only")
		return
	}
	switch r.Method {
	case http.MethodGet:
	case http.MethodPut:
		set, err := readFaults(http.MaxBytesReader(w, r.Body, faultsBodyLimit))
		if err != nil {
			status := http.StatusBadRequest
			var large *http.MaxBytesError
			if errors.As(err, &large) {
				status = http.StatusRequestEntityTooLarge
			}
			faultAnswer(w, status, "invalid", err.Error())
			return
		}
		f.replace(set)
	case http.MethodDelete:
		f.replace(nil)
	default:
		w.Header().Set("Allow", "GET, PUT, DELETE")
		faultAnswer(w, http.StatusMethodNotAllowed, "method", "use GET, PUT or DELETE")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string][]Fault{"faults": f.Show()})
}

// Show returns the faults still in force, with the time left and the number of requests each has hit.
func (f *Faults) Show() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	shown := []Fault{}
	for _, a := range f.active {
		if !a.until.IsZero() {
			left := a.until.Sub(now)
			if left <= 0 {
				continue
			}
			a.Remaining = left.Round(time.Millisecond).String()
		}
		shown = append(shown, a.Fault)
	}
	return shown
}

// replace puts a new set in force and ends the old one.
func (f *Faults) replace(set []*faultInForce) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.changed)
	f.changed = make(chan struct{})
	f.active = set
}

func faultPeerIsLoopback(remote string) bool {
	peer, err := netip.ParseAddrPort(remote)
	return err == nil && peer.Addr().Unmap().IsLoopback()
}

// faultHostIsLoopback says whether a Host header names this machine: localhost or a loopback address, with or without port.
func faultHostIsLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

func faultAnswer(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "message": message})
}

// readFaults reads and checks a whole set; nothing is put in force when any of it is wrong.
func readFaults(r io.Reader) ([]*faultInForce, error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	var body struct {
		Faults []Fault `json:"faults"`
	}
	if err := d.Decode(&body); err != nil {
		return nil, fmt.Errorf("faults: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("faults: something follows the JSON object")
	}
	if len(body.Faults) > faultsMax {
		return nil, fmt.Errorf("faults: %d given, at most %d", len(body.Faults), faultsMax)
	}
	set := make([]*faultInForce, 0, len(body.Faults))
	var wrong []error
	for i, given := range body.Faults {
		a, err := given.check(time.Now())
		if err != nil {
			wrong = append(wrong, fmt.Errorf("faults[%d]: %w", i, err))
			continue
		}
		set = append(set, a)
	}
	return set, errors.Join(wrong...)
}

// check resolves a given fault, counting its time from now.
func (g Fault) check(now time.Time) (*faultInForce, error) {
	a := &faultInForce{Fault: g, probability: 1}
	a.Remaining, a.Hits = "", 0 // shown values sent back by a client that edits what GET gave it
	switch g.Kind {
	case FaultDelay, FaultError, FaultStall, FaultReset:
	default:
		return nil, fmt.Errorf("kind %q: want delay, error, stall or reset", g.Kind)
	}
	if g.Probability != nil {
		a.probability = *g.Probability
		if a.probability <= 0 || a.probability > 1 {
			return nil, fmt.Errorf("probability %v: want more than 0 and at most 1", a.probability)
		}
	} else {
		a.Probability = &a.probability
	}
	if g.For != "" {
		d, err := time.ParseDuration(g.For)
		if err != nil || d <= 0 {
			return nil, fmt.Errorf("for %q: want a positive duration such as 30s", g.For)
		}
		a.until = now.Add(d)
	}
	var err error
	if (g.Delay != "") != (g.Kind == FaultDelay) {
		return nil, errors.New("delay: needed for the kind delay, and only there")
	}
	if g.Kind == FaultDelay {
		if a.delay, err = time.ParseDuration(g.Delay); err != nil || a.delay <= 0 {
			return nil, fmt.Errorf("delay %q: want a positive duration such as 200ms", g.Delay)
		}
	}
	switch {
	case g.Kind != FaultError && g.Status != 0:
		return nil, errors.New("status: only for the kind error")
	case g.Kind == FaultError && g.Status == 0:
		a.Status = http.StatusServiceUnavailable
	case g.Kind == FaultError && (g.Status < 400 || g.Status > 599):
		return nil, fmt.Errorf("status %d: want 400 to 599", g.Status)
	}
	for _, p := range g.Paths {
		if !strings.HasPrefix(p, "/") {
			return nil, fmt.Errorf("paths: %q does not begin with /", p)
		}
	}
	return a, nil
}
