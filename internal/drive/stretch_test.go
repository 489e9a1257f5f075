package drive

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/targets"
)

// handmade is a target that handles each connection by hand and counts what goes over all of them.
type handmade struct {
	in, out atomic.Uint64
	target  *targets.Target
}

func handle(t *testing.T, serve func(c *counting)) *handmade {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &handmade{target: target("http://" + l.Addr().String())}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = c.Close() }()
				x := &counting{TCPConn: c.(*net.TCPConn), all: h}
				x.r = bufio.NewReader(x)
				serve(x)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return h
}

// counting is one of its connections.
type counting struct {
	*net.TCPConn
	all *handmade
	r   *bufio.Reader
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	c.all.in.Add(uint64(n))
	return n, err
}

// request takes one; false when there is none any more.
func (c *counting) request() bool {
	r, err := http.ReadRequest(c.r)
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	return err == nil
}

func (c *counting) answer(head string) {
	n, _ := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%sContent-Length: 5\r\n\r\nhello", head)
	c.all.out.Add(uint64(n))
}

// toTheEnd answers every request.
func toTheEnd(c *counting) {
	for c.request() {
		c.answer("")
	}
}

// client runs a load and gives what run.json says of captest's own connections.
func client(t *testing.T, c Config, load Load) record.ClientConnections {
	t.Helper()
	_, res := frames(t, engine(t, c), load)
	return res.Connections.Client
}

func TestWhatConnectionsCarriedIsCountedExactly(t *testing.T) {
	h := handle(t, toTheEnd)
	c := client(t, Config{Target: h.target}, Load{Users: 1, Total: 2*sampleEvery + 10})
	if !cmp.Equal(c.ClosedBy, map[string]uint64{"captest": 1}) || *c.RequestsPerConnection.Mean != 2*sampleEvery+10 {
		t.Errorf("closed by %v after %v requests; want captest alone, after all of them", c.ClosedBy, *c.RequestsPerConnection.Mean)
	}
	if *c.BytesOut != h.in.Load() || *c.BytesIn != h.out.Load() {
		t.Errorf("%d bytes out and %d in; the target had %d and sent %d", *c.BytesOut, *c.BytesIn, h.in.Load(), h.out.Load())
	}
	if runtime.GOOS != "linux" {
		if c.TCP != nil {
			t.Errorf("TCP %+v of a kernel that does not tell", *c.TCP)
		}
		return
	}
	if c.TCP == nil || c.TCP.Samples != 3 || c.TCP.RTTMs.P50 == nil || c.TCP.RTTVarianceMs.P50 == nil {
		t.Errorf("TCP %+v; want a reading at requests 1024 and 2048 and at the end", c.TCP)
	}
	if *c.WaitMs.P50 > 1 || *c.WriteMs.P50 > *c.FirstByteMs.P50 || *c.BodyMs.P50 > *c.FirstByteMs.P50 {
		t.Errorf("wait %v, write %v, body %v, first byte %v", *c.WaitMs.P50, *c.WriteMs.P50, *c.BodyMs.P50, *c.FirstByteMs.P50)
	}
}

// Whoever closes, says so, is silent or tears the connection down: it is told apart, and each connection counts what it carried.
func TestWhoClosedFirst(t *testing.T) {
	const each = 4 // answers of a connection
	for name, x := range map[string]struct {
		last  func(c *counting)
		think time.Duration
		want  string
		total uint64
		mean  float64
	}{
		"announced": {func(c *counting) { c.request(); c.answer("Connection: close\r\n") }, 0, "target", 3 * each, each},
		// The pause is long enough for the end of the connection to be seen before the next request.
		"silent": {func(c *counting) { c.request(); c.answer("") }, 150 * time.Millisecond, "target_idle", 2 * each, each},
		// The last request is taken and never answered.
		"during a request": {func(c *counting) { c.request() }, 0, "target", 3 * each, each},
		"reset":            {func(c *counting) { c.request(); _ = c.SetLinger(0) }, 0, "reset", 3 * each, each},
	} {
		t.Run(name, func(t *testing.T) {
			h := handle(t, func(c *counting) {
				for range each - 1 {
					if !c.request() {
						return
					}
					c.answer("")
				}
				x.last(c)
			})
			s := get("/")
			s.Steps[0].Request.Method, s.Steps[0].Think = "POST", x.think // a POST is not sent twice
			c := client(t, Config{Scenario: s, Target: h.target}, Load{Users: 1, Total: x.total})
			if want := map[string]uint64{x.want: x.total / each}; !cmp.Equal(c.ClosedBy, want) {
				t.Errorf("closed by %v, want %v", c.ClosedBy, want)
			}
			if *c.RequestsPerConnection.Mean != x.mean || *c.RequestsPerConnection.P50 != x.mean || *c.RequestsPerConnection.Max != x.mean {
				t.Errorf("requests per connection %v, want %v", *c.RequestsPerConnection.Mean, x.mean)
			}
			if *c.BytesOut != h.in.Load() || *c.BytesIn != h.out.Load() {
				t.Errorf("%d bytes out and %d in; the target had %d and sent %d", *c.BytesOut, *c.BytesIn, h.in.Load(), h.out.Load())
			}
		})
	}
}

// TLS has a goodbye of its own, after which nobody reads the end of the TCP connection.
func TestWhoClosedFirstUnderTLS(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the kernel does not tell that the other side has closed")
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.IdleTimeout = 20 * time.Millisecond
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	sc := get("/")
	sc.Steps[0].Think = 200 * time.Millisecond
	c := client(t, Config{Scenario: sc, Target: target(s.URL), TLS: &tls.Config{RootCAs: roots}, HTTP: HTTP11}, Load{Users: 1, Total: 3})
	if !cmp.Equal(c.ClosedBy, map[string]uint64{"target_idle": 3}) {
		t.Errorf("closed by %v, want the idle target", c.ClosedBy)
	}
	if *c.BytesIn < 1000 { // three handshakes
		t.Errorf("%d bytes in: TLS is not among them", *c.BytesIn)
	}
}

// A request given up is captest's own doing, and gives its reading of the kernel as every other.
func TestAConnectionGivenUpIsCaptests(t *testing.T) {
	h := handle(t, func(c *counting) {
		for c.request() { //nolint:revive // it never answers
		}
	})
	s := get("/")
	s.Steps[0].Timeout = 100 * time.Millisecond
	c := client(t, Config{Scenario: s, Target: h.target}, Load{Users: 2, Total: 6})
	if !cmp.Equal(c.ClosedBy, map[string]uint64{"captest": 6}) || *c.RequestsPerConnection.Max != 1 {
		t.Errorf("closed by %v after at most %v requests", c.ClosedBy, *c.RequestsPerConnection.Max)
	}
	if runtime.GOOS == "linux" && (c.TCP == nil || c.TCP.Samples != 6) {
		t.Errorf("TCP %+v, want a reading of each of the 6", c.TCP)
	}
}

// What the sockets have no room for waits for the target to read: that is the time of the write, whether it ends or not.
func TestATargetThatReadsSlowlyShowsInTheWrite(t *testing.T) {
	const pause = 300 * time.Millisecond
	body := strings.Repeat("x", 16<<20) // more than any socket's buffers take
	done := make(chan struct{})
	for name, x := range map[string]struct {
		timeout time.Duration
		serve   func(c *counting)
		least   float64 // ms
	}{
		"late":  {time.Minute, func(c *counting) { time.Sleep(pause); toTheEnd(c) }, 200},
		"never": {time.Second, func(*counting) { <-done }, 500},
	} {
		t.Run(name, func(t *testing.T) {
			h := handle(t, x.serve)
			if name == "never" {
				t.Cleanup(func() { close(done) })
			}
			s := get("/")
			s.Steps[0].Request.Method, s.Steps[0].Request.Body = "POST", text(t, `{{env "BODY"}}`)
			s.Steps[0].Timeout = x.timeout
			c := client(t, Config{Scenario: s, Target: h.target, Env: func(string) string { return body }}, Load{Users: 1, Total: 1})
			if c.WriteMs.Max == nil {
				t.Fatal("no write was timed")
			}
			if *c.WriteMs.Max < x.least {
				t.Fatalf("write %v ms (%+v), want at least %v ms", *c.WriteMs.Max, c.Errors, x.least)
			}
			// Of net/http two goroutines tell of the end of the write and of the first byte: a busy machine runs either first.
			if name == "late" && (*c.FirstByteMs.Max < *c.WriteMs.Max-50 || *c.BytesOut != h.in.Load()) {
				t.Errorf("first byte at %v ms, written at %v ms; %d bytes out, the target had %d", *c.FirstByteMs.Max, *c.WriteMs.Max, *c.BytesOut, h.in.Load())
			}
		})
	}
}

func TestTheTimeOfABody(t *testing.T) {
	c := client(t, Config{Target: onReal(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "the first part")
		_ = http.NewResponseController(w).Flush()
		time.Sleep(100 * time.Millisecond)
		_, _ = io.WriteString(w, "and the last")
	}))}, Load{Users: 1, Total: 2})
	if *c.BodyMs.P50 < 95 {
		t.Errorf("body %v ms, want about 100", *c.BodyMs.P50)
	}
}

// Dialling is no wait of captest's own making.
func TestTheWaitIsWithoutTheDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(10*time.Millisecond))
		slow := func(ctx context.Context, network, address string) (net.Conn, error) {
			time.Sleep(50 * time.Millisecond)
			return m.dial(ctx, network, address)
		}
		c := client(t, Config{dial: slow}, Load{Users: 4, Total: 40})
		if *c.DialMs.P50 < 49 || *c.WaitMs.Max > 0.01 {
			t.Errorf("dial %v ms, wait %v ms; want 50 and none", *c.DialMs.P50, *c.WaitMs.Max)
		}
	})
}
