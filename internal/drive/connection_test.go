package drive

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/captest/captest/internal/record"
)

// frames runs a load with a run folder and sums up the client's connections over all frames.
func frames(t *testing.T, e Engine, load Load) (record.ConnectionFrame, *record.Result) {
	t.Helper()
	folder, err := record.Create(t.TempDir(), "s", "stub", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	rec := record.NewRecorder(record.RecorderConfig{Clock: record.NewClock(), Steps: []string{"get"}, Folder: folder})
	rec.Enter(record.Mark{Trial: 0, Phase: "test"})
	drive(t, t.Context(), e, load, rec)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec.Run(ctx)
	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}
	run, err := record.Read(folder.Dir())
	if err != nil {
		t.Fatal(err)
	}
	var sum record.ConnectionFrame
	for _, f := range run.Frames {
		sum.Opened += f.Connections.Opened
		sum.Reused += f.Connections.Reused
		sum.Closed += f.Connections.Closed
		sum.Open = f.Connections.Open
		sum.Peak = max(sum.Peak, f.Connections.Peak)
	}
	return sum, record.Summarise(run)
}

func TestEachUserKeepsOneConnectionAndNoneOutlivesTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(10*time.Millisecond))
		e := engine(t, Config{dial: m.dial})
		for round := range 2 {
			sum, _ := frames(t, e, Load{Users: 8, Total: 200})
			if sum.Opened != 8 || sum.Peak != 8 || sum.Reused != 192 || sum.Closed != 8 || sum.Open != 0 {
				t.Errorf("round %d: %+v; want 8 opened and closed, 192 requests on a kept one", round, sum)
			}
		}
	})
}

// A service that closes after each answer makes a connection per request, and captest says so.
func TestConnectionsThatAreNotKeptAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
		e := engine(t, Config{dial: m.dial})
		sum, _ := frames(t, e, Load{Users: 4, Total: 40})
		if sum.Opened != 40 || sum.Closed != 40 || sum.Reused != 0 || sum.Open != 0 {
			t.Errorf("%+v; want 40 opened and closed", sum)
		}
	})
}

func TestACancelledLoadLeavesNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(time.Hour))
		e := engine(t, Config{dial: m.dial})
		frames(t, e, Load{Users: 4, For: time.Second, Grace: time.Second})
		synctest.Wait()
		if _, sums := drive(t, t.Context(), engine(t, Config{dial: m.dial}), Load{Users: 1, For: time.Second, Grace: time.Second}, recorder(get("/"))); sums.Errors["canceled"] != 1 {
			t.Errorf("errors %v", sums.Errors)
		}
	})
}

// The dial ends with the request that wanted it: a target that does not answer SYNs is not sent ever more of them.
func TestADialEndsWithItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, peak := 0, 0
		m := newMemory()
		slow := func(ctx context.Context, network, address string) (c net.Conn, err error) {
			mu.Lock()
			now++
			peak = max(peak, now)
			mu.Unlock()
			defer func() { mu.Lock(); now--; mu.Unlock() }()
			return m.dial(ctx, network, address) // nobody accepts
		}
		s := get("/")
		s.Steps[0].Timeout = time.Second
		e := engine(t, Config{dial: slow, Scenario: s})
		_, sums := drive(t, t.Context(), e, Load{Users: 3, For: 9500 * time.Millisecond}, recorder(s)) // its end is no request's
		synctest.Wait()
		// One dial for each user, and perhaps its last one on the way out; ten each if they outlived their requests.
		if peak > 6 || now != 0 || sums.Errors["timeout"] != 30 {
			t.Errorf("%d dials at once, %d left over, errors %v; want 3 to 6, 0, and 30 timeouts", peak, now, sums.Errors)
		}
	})
}

func TestPhasesOfARequestAreTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(70 * time.Millisecond)
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(500 * time.Millisecond)
			_, _ = io.WriteString(w, "twelve bytes")
		})
		slow := func(ctx context.Context, network, address string) (net.Conn, error) {
			time.Sleep(30 * time.Millisecond)
			return m.dial(ctx, network, address)
		}
		e := httpEngine(t, Config{dial: slow})
		e.clock = record.NewClock()
		u := e.user(0)
		defer u.rest()
		time.Sleep(time.Second)
		for round, want := range []record.Sample{
			{Started: 1000, Connected: 1030, Wrote: 1030, FirstByte: 1100, Done: 1600, Dial: 30, BytesIn: 12, Status: 200, Flags: record.NewConn},
			{Started: 1600, Connected: 1600, Wrote: 1600, FirstByte: 1670, Done: 2170, BytesIn: 12, Status: 200, Flags: record.Reused},
		} {
			got := u.send(t.Context(), &e.script.steps[0], time.Minute, -1, nil).sample
			for _, ns := range []*int64{&got.Intended, &got.Started, &got.Connected, &got.Wrote, &got.FirstByte, &got.Done, &got.Dial} {
				*ns = (*ns + int64(time.Millisecond)/2) / int64(time.Millisecond)
			}
			want.Intended = want.Started
			if got != want {
				t.Errorf("round %d (ms):\n got %+v\nwant %+v", round, got, want)
			}
		}
	})
}

func TestHTTPSSpeaksHTTP2AndVerifies(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(http.StatusHTTPVersionNotSupported)
		}
		_, _ = io.Copy(w, r.Body)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	sc := get("/")
	sc.Steps[0].Request.Method = "POST"
	sc.Steps[0].Request.Body = text(t, "hello {{n}}")
	sc.Steps[0].Expect.Contains = "hello"
	sc.Steps[0].Name = "get"
	sum, res := frames(t, engine(t, Config{Scenario: sc, Target: target(s.URL), TLS: &tls.Config{RootCAs: roots}}), Load{Users: 2, Total: 20})
	if sum.Opened != 2 || sum.Reused != 18 || sum.Open != 0 || res.Steps["get"].OK != 20 {
		t.Errorf("%+v, %+v; want 20 good on 2 connections", sum, res.Steps["get"])
	}
	if took := res.Connections.Client.TLSMs.Max; took == nil || *took <= 0 {
		t.Error("no TLS handshake was timed")
	}
}

// The name is not loopback, for which net/http would not ask the environment.
func TestTheEnvironmentsProxyIsIgnored(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://proxy.test:3128")
	t.Setenv("http_proxy", "http://proxy.test:3128")
	var dialled []string
	refuse := func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	journeys(t, Config{Scenario: get("/"), dial: refuse}, 1)
	if len(dialled) != 1 || dialled[0] != "stub.test:80" {
		t.Errorf("dialled %q, want stub.test:80", dialled)
	}
}

// writes counts what is written to a connection.
type writes struct {
	net.Conn
	n *atomic.Int64
}

func (w writes) Write(b []byte) (int, error) {
	w.n.Add(1)
	return w.Conn.Write(b)
}

// Two segments for one small request would cost both sides a system call, and some servers a delayed acknowledgement.
func TestHeadAndBodyGoOutTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
		var n atomic.Int64
		counting := func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := m.dial(ctx, network, address)
			return writes{c, &n}, err
		}
		s := get("/")
		s.Steps[0].Request.Method, s.Steps[0].Request.Body = "POST", text(t, "hello {{n}}")
		_, sums := journeys(t, Config{Scenario: s, dial: counting}, 10)
		if sums.OK != 10 || n.Load() != 10 {
			t.Errorf("%d writes for %d good requests, want 10", n.Load(), sums.OK)
		}
	})
}

func TestCompressionOnlyWhenAsked(t *testing.T) {
	var asked []string
	h := func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.Header.Get("Accept-Encoding")) }
	s := scenario(t, `
name: zip
steps:
  - {name: plain, request: {path: /}}
  - {name: zipped, request: {path: /, headers: {Accept-Encoding: gzip}}}
`)
	journeys(t, Config{Scenario: s, Target: onReal(t, http.HandlerFunc(h))}, 1)
	if len(asked) != 2 || asked[0] != "" || asked[1] != "gzip" {
		t.Errorf("asked for %q, want nothing and gzip", asked)
	}
}
