package drive

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
)

func nativeEngine(t testing.TB, c Config) *Native {
	t.Helper()
	e, err := NewNative(filled(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// A target that closes each connection after one answer, without saying so: a GET that finds its kept connection closed is sent
// again on a new one, a POST is not, unless nothing of it can have arrived.
func TestNativeRepeatsOnlyWhatMayBeSentTwice(t *testing.T) {
	once(t)
	var seen atomic.Int64
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				r := bufio.NewReader(c)
				for i := range 2 {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					seen.Add(1)
					if i == 1 {
						return // the second request of a connection is taken and never answered
					}
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			}()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	for method, want := range map[string]uint64{"GET": 0, "POST": 5} {
		s := get("/")
		s.Steps[0].Request.Method = method
		e := nativeEngine(t, Config{Scenario: s, Target: target("http://" + l.Addr().String()), Loops: 1})
		_, sums := drive(t, t.Context(), e, Load{Users: 1, Total: 10}, recorder(s))
		if sums.Errors["closed"] != want || sums.OK != 10-want {
			t.Errorf("%s: %d good, errors %v; want %d closed", method, sums.OK, sums.Errors, want)
		}
	}
}

// With a bound on connections nothing is dropped: what waits is late, and timed from when it was due.
func TestNativeArrivalsWaitForAConnection(t *testing.T) {
	once(t)
	const service, rate = 50 * time.Millisecond, 40 // 2 users at 50 ms serve 40 a second: exactly enough, but not after a pause
	var paused atomic.Bool
	s := get("/")
	e := nativeEngine(t, Config{Scenario: s, Loops: 1, Target: onReal(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if paused.CompareAndSwap(false, true) {
			time.Sleep(400 * time.Millisecond)
		}
		time.Sleep(service)
	}))})
	tally, sums := drive(t, t.Context(), e, Load{Plan: fixed(t, rate, time.Second), Connections: 2}, recorder(s))
	if tally.Dropped != 0 || sums.OK != rate || tally.Late < 5 || sums.Late != tally.Late {
		t.Errorf("%+v, %d good, %d recorded late; want all %d, none dropped, many late", tally, sums.OK, sums.Late, rate)
	}
	if sums.LagP99Ms != nil && *sums.LagP99Ms > 100 {
		t.Errorf("the wait for a connection is called lag: p99 %v ms", *sums.LagP99Ms)
	}
	if *sums.Latency.P95Ms < 150 {
		t.Errorf("p95 %v ms: the wait for a connection is not in it", *sums.Latency.P95Ms)
	}
}

// Loops that may have no user take no arrivals.
func TestNativeWithFewerConnectionsThanLoops(t *testing.T) {
	once(t)
	s := get("/")
	e := nativeEngine(t, Config{Scenario: s, Loops: 4, Target: onReal(t, delayed(time.Millisecond))})
	for name, load := range map[string]Load{
		"connections": {Connections: 3}, "in flight": {InFlightCap: 1}, "changed": {Connections: 1, Control: &Throttle{}},
	} {
		load.Plan, load.Grace = fixed(t, 50, 400*time.Millisecond), 10*time.Second
		if load.Control != nil {
			go func() {
				for {
					if _, _, ok := load.Control.AddRate(0); ok {
						break
					}
					time.Sleep(time.Millisecond)
				}
				load.Control.AddRate(-0.5)
			}()
		}
		tally, err := e.Drive(t.Context(), load, recorder(s))
		if want := uint64(20); err != nil || tally.Journeys+tally.Dropped != want && load.Control == nil || tally.Dropped > 0 && load.Connections > 0 || tally.Journeys == 0 {
			t.Errorf("%s: %+v, %v; want %d journeys", name, tally, err, want)
		}
	}
}

// A stall of the target is in the quantiles of an open load, on a pool that grows and on one that cannot.
func TestNativeShowsAFreezeOnAnyPool(t *testing.T) {
	once(t)
	for _, connections := range []int{0, 20} {
		t.Run(fmt.Sprint(connections), func(t *testing.T) {
			var began atomic.Pointer[time.Time]
			s := get("/")
			e := nativeEngine(t, Config{Scenario: s, Loops: 1, Target: onReal(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				if since := time.Since(*began.Load()); since > 500*time.Millisecond && since < time.Second {
					time.Sleep(time.Second - since) // everything waits until the second is over
				}
			}))})
			now := time.Now()
			began.Store(&now)
			tally, sums := drive(t, t.Context(), e, Load{Plan: fixed(t, 200, 2*time.Second), Connections: connections}, recorder(s))
			// 100 of 400 arrivals wait evenly between 0 and 500 ms: a quarter, so p90 is at three fifths of the freeze.
			if tally.Dropped != 0 || sums.OK != 400 || *sums.Latency.P90Ms < 200 || *sums.Latency.P99Ms < 400 {
				t.Errorf("%+v, %d good, p90 %v ms, p99 %v ms; want 400 good, about 300 and 480 ms", tally, sums.OK, *sums.Latency.P90Ms, *sums.Latency.P99Ms)
			}
		})
	}
}

// Whatever a target answers, each request ends in time under its own name and leaves no descriptor.
func TestNativeSurvivesHostileAnswers(t *testing.T) {
	once(t)
	hostile := map[string]struct {
		serve func(c *net.TCPConn)
		want  record.ErrorClass
	}{
		"garbage":               {say(strings.Repeat("\x00\xff garbage", 1000)), record.ErrorProtocol},
		"half an answer":        {say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), record.ErrorClosed},
		"a gigabyte announced":  {say("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"), record.ErrorProtocol},
		"endless headers":       {func(c *net.TCPConn) { endless(c, "HTTP/1.1 200 OK\r\n", "X-Y: zzzzzzzzzzzzzzzzzzzzzzzzzzzzz\r\n") }, record.ErrorProtocol},
		"an endless body":       {func(c *net.TCPConn) { endless(c, "HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 4096)) }, record.ErrorProtocol},
		"endless 1xx":           {func(c *net.TCPConn) { endless(c, "", "HTTP/1.1 100 Continue\r\n\r\n") }, record.ErrorProtocol},
		"two answers to one":    {say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), record.ErrorNone},
		"a reset":               {func(c *net.TCPConn) { _ = c.SetLinger(0) }, record.ErrorReset},
		"a half-close, no more": {func(c *net.TCPConn) { _ = c.CloseWrite(); hang(c) }, record.ErrorClosed},
	}
	for name, c := range hostile {
		t.Run(name, func(t *testing.T) {
			s := get("/")
			s.Steps[0].Timeout = 20 * time.Second
			e := nativeEngine(t, Config{Scenario: s, Target: target(rawServer(t, c.serve))})
			before := descriptors(t)
			_, sums := drive(t, t.Context(), e, Load{Users: 3, Total: 9}, recorder(s))
			if c.want == record.ErrorNone && sums.OK != 9 || c.want != record.ErrorNone && sums.Errors[c.want.String()] != 9 {
				t.Errorf("%d good, errors %v; want nine %q", sums.OK, sums.Errors, c.want)
			}
			for deadline := time.Now().Add(5 * time.Second); descriptors(t) > before+1; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) { // the stub's own ends go a little later
					t.Fatalf("%d descriptors before, %d after", before, descriptors(t))
				}
			}
		})
	}
}

func endless(c *net.TCPConn, head, more string) {
	_, err := io.WriteString(c, head)
	for n := 0; err == nil && n < 64<<20; n += len(more) {
		_, err = io.WriteString(c, more)
	}
}

// A request costs no memory: what a journey makes, sends and receives lives in what its user has already.
func TestNativeAllocatesNothingForARequest(t *testing.T) {
	once(t)
	s := scenario(t, `
name: one
data: {email: "u{{unique}}@load.example"}
steps:
  - name: post
    request: {method: POST, path: "/x?q={{random 10}}", json: {email: "{{email}}"}}
`)
	e := nativeEngine(t, Config{Scenario: s, Loops: 1, Target: target(rawLoop(t))})
	rec := recorder(s)
	run := func(total uint64) float64 {
		return testing.AllocsPerRun(1, func() { drive(t, t.Context(), e, Load{Users: 2, Total: total}, rec) })
	}
	few, many := run(100), run(5100)
	if each := (many - few) / 5000; each > 0.05 {
		t.Errorf("%.2f allocations a request", each)
	}
}

// rawLoop answers every request on a connection, without allocating.
func rawLoop(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				in, out := make([]byte, 4096), []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				for {
					if n, err := c.Read(in); err != nil || n == 0 {
						return
					}
					if _, err := c.Write(out); err != nil {
						return
					}
				}
			}()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "http://" + l.Addr().String()
}

// A journey that fails at once is followed by the next: from the loop, not from inside the failure, which would end in an
// overflown stack. The first one waits for the ledger, so that by a clock read before it all of them would have taken long.
func TestNativeOutlivesJourneysThatFailAtOnce(t *testing.T) {
	once(t)
	slowly := sync.OnceFunc(func() { time.Sleep(3 * instant) })
	identity := NewIdentity(1, "bench", func(record.LedgerBlock) error { slowly(); return nil })
	e := nativeEngine(t, Config{Scenario: get("/"), Target: target(nobody(t)), Identity: identity, Loops: 1})
	tally, sums := drive(t, t.Context(), e, Load{Users: 5000, For: 300 * time.Millisecond}, recorder(get("/")))
	if sums.N == 0 || sums.Errors["refused"] != sums.N || tally.Failed != sums.N {
		t.Errorf("%d requests, %d failed, errors %v; want all refused", sums.N, tally.Failed, sums.Errors)
	}
	if sums.N > 5000*30 {
		t.Errorf("%d requests: the pause between failures is missing", sums.N)
	}
	if median := *sums.Latency.P50Ms; median > 10 {
		t.Errorf("median %.1f ms: the wait for the ledger is in the latencies", median)
	}
}

// Connections come from the addresses given, in turn; an address of the other kind is no way to a target.
func TestNativeConnectsFromItsSources(t *testing.T) {
	once(t)
	var mu sync.Mutex
	from := map[string]int{}
	s := get("/")
	on := onReal(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		mu.Lock()
		from[host]++
		mu.Unlock()
	}))
	sources := []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.3")}
	e := nativeEngine(t, Config{Scenario: s, Loops: 1, Target: on, Sources: sources})
	_, sums := drive(t, t.Context(), e, Load{Users: 4, Total: 40}, recorder(s))
	if sums.OK != 40 || len(from) != 2 || from["127.0.0.2"] == 0 || from["127.0.0.3"] == 0 {
		t.Errorf("%d good, from %v; want 40 from 127.0.0.2 and 127.0.0.3", sums.OK, from)
	}
	e = nativeEngine(t, Config{Scenario: s, Loops: 1, Target: on, Sources: sources[1:2]})
	if _, err := e.Drive(t.Context(), Load{Users: 1, Total: 1}, recorder(s)); err == nil || !strings.Contains(err.Error(), "IPv6") {
		t.Errorf("error %v, want one that names the kinds of addresses", err)
	}
	if err := CheckSource(sources[0]); err != nil {
		t.Error(err)
	}
	if err := CheckSource(netip.MustParseAddr("192.0.2.1")); err == nil { // TEST-NET-1, nobody's
		t.Error("an address that this machine does not have")
	}
}
