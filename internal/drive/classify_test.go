package drive

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// rawServer answers each connection's first request by hand.
func rawServer(t *testing.T, serve func(c *net.TCPConn)) string {
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
			r := bufio.NewReader(c)
			for { // the request's head
				line, err := r.ReadString('\n')
				if err != nil || strings.TrimSpace(line) == "" {
					break
				}
			}
			serve(c.(*net.TCPConn))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "http://" + l.Addr().String()
}

func say(text string) func(*net.TCPConn) {
	return func(c *net.TCPConn) { _, _ = c.Write([]byte(text)) }
}

// hang holds the connection until the client gives up.
func hang(c *net.TCPConn) { _, _ = c.Read(make([]byte, 1)) }

func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

// Every class, from what really happens on sockets.
func TestFailuresAreClassifiedByWhatHappenedOnTheWire(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
	trusted := httptest.NewTLSServer(http.NotFoundHandler())
	defer trusted.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()

	var foreign net.Dialer
	foreign.LocalAddr = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)} // TEST-NET-1: not ours
	lost := net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server")
	}}}

	for name, c := range map[string]struct {
		url    string
		dial   func(context.Context, string, string) (net.Conn, error)
		want   record.ErrorClass
		status int
	}{
		"nobody listens":            {url: nobody(t), want: record.ErrorRefused},
		"reset before the answer":   {url: rawServer(t, func(c *net.TCPConn) { _ = c.SetLinger(0) }), want: record.ErrorReset},
		"reset within the body":     {url: rawServer(t, func(c *net.TCPConn) { say(head)(c); time.Sleep(200 * time.Millisecond); _ = c.SetLinger(0) }), want: record.ErrorReset, status: 200},
		"closed before the answer":  {url: rawServer(t, func(*net.TCPConn) {}), want: record.ErrorClosed},
		"closed within the head":    {url: rawServer(t, say("HTTP/1.1 200 OK\r\nServer: x\r\n")), want: record.ErrorClosed},
		"closed within the body":    {url: rawServer(t, say(head+"short")), want: record.ErrorClosed, status: 200},
		"no answer":                 {url: rawServer(t, hang), want: record.ErrorTimeout},
		"body without end":          {url: rawServer(t, func(c *net.TCPConn) { say(head + "slow")(c); hang(c) }), want: record.ErrorTimeout, status: 200},
		"not HTTP":                  {url: rawServer(t, say("SSH-2.0-OpenSSH_9.9\r\n")), want: record.ErrorProtocol},
		"a header that is none":     {url: rawServer(t, say("HTTP/1.1 200 OK\r\nno colon\r\n\r\n")), want: record.ErrorProtocol},
		"contradicting lengths":     {url: rawServer(t, say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")), want: record.ErrorProtocol},
		"a head without end":        {url: rawServer(t, say("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 300<<10)+"\r\n\r\n")), want: record.ErrorProtocol},
		"a chunk that is none":      {url: rawServer(t, say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")), want: record.ErrorProtocol, status: 200},
		"https to an http port":     {url: "https" + strings.TrimPrefix(plain.URL, "http"), want: record.ErrorTLS},
		"a certificate of no one":   {url: trusted.URL, want: record.ErrorTLS},
		"a name that no one knows":  {url: "http://nowhere.invalid", dial: lost.DialContext, want: record.ErrorDNS},
		"no local address to leave": {url: plain.URL, dial: foreign.DialContext, want: record.ErrorLocal},
		"a status that is not 2xx":  {url: plain.URL, want: record.ErrorStatus, status: 404},
	} {
		t.Run(name, func(t *testing.T) {
			s := get("/")
			s.Steps[0].Timeout = time.Second
			if c.want != record.ErrorTimeout {
				s.Steps[0].Timeout = 20 * time.Second // on a slow machine too
			}
			if underTest == "native" {
				if c.dial != nil || c.want == record.ErrorTLS {
					t.Skip("not for the native engine")
				}
				e := engine(t, Config{Scenario: s, Target: target(c.url)})
				_, sums := drive(t, t.Context(), e, Load{Users: 1, Total: 1}, recorder(s))
				list := e.Examples()
				if sums.Errors[c.want.String()] != 1 || len(list) != 1 {
					t.Fatalf("errors %v, want one %q; examples %v", sums.Errors, c.want, list)
				}
				if d := list[0].Detail; d == "" || len(d) > 2*detailMax || strings.Contains(d, "127.0.0.1:") {
					t.Errorf("detail %q: want it short and without ports", d)
				}
				return
			}
			e := httpEngine(t, Config{Scenario: s, Target: target(c.url), dial: c.dial})
			e.clock = record.NewClock()
			u := e.user(0)
			defer u.rest()
			out := u.send(t.Context(), &e.script.steps[0], s.Steps[0].Timeout, -1, nil)
			if out.sample.Error != c.want || int(out.sample.Status) != c.status {
				t.Errorf("got %q with status %d, want %q with %d (%s)", out.sample.Error, out.sample.Status, c.want, c.status, out.detail)
			}
			if timedOut := out.sample.Flags&record.TimedOut != 0; timedOut != (c.want == record.ErrorTimeout) {
				t.Errorf("flag TimedOut is %v", timedOut)
			}
			if out.detail == "" || len(out.detail) > 2*detailMax || strings.Contains(out.detail, "127.0.0.1:") {
				t.Errorf("detail %q: want it short and without ports", out.detail)
			}
		})
	}
}

func TestNoDescriptorsLeftIsOurOwnFault(t *testing.T) {
	url := rawServer(t, say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Skip(err)
	}
	e := engine(t, Config{Target: target(url)})
	rec := recorder(get("/"))
	none := was
	none.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Skip(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
			t.Fatal(err)
		}
	}()
	if _, sums := drive(t, t.Context(), e, Load{Users: 1, Total: 2}, rec); sums.Errors["local"] != 2 {
		t.Errorf("errors %v, want 2 local", sums.Errors)
	}
}

func TestOtherErrors(t *testing.T) {
	live := t.Context()
	for name, c := range map[string]struct {
		err  error
		want record.ErrorClass
	}{
		"no route":              {&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, record.ErrorOther},
		"invalid argument":      {&net.OpError{Op: "dial", Err: syscall.EINVAL}, record.ErrorOther},
		"kernel timeout":        {&net.OpError{Op: "dial", Err: syscall.ETIMEDOUT}, record.ErrorTimeout},
		"ports exhausted":       {fmt.Errorf("dial: %w", syscall.EADDRNOTAVAIL), record.ErrorLocal},
		"stream reset (HTTP/2)": {errors.New("stream error: stream ID 1; INTERNAL_ERROR; received from peer"), record.ErrorReset},
		"server goes (HTTP/2)":  {errors.New("http2: server sent GOAWAY and closed the connection"), record.ErrorClosed},
		"protocol (HTTP/2)":     {errors.New("http2: connection error: PROTOCOL_ERROR: bad"), record.ErrorProtocol},
		"kept connection gone":  {errors.New("http: server closed idle connection"), record.ErrorClosed},
		"unheard of":            {errors.New("mystery"), record.ErrorOther},
	} {
		if got := classify(c.err, live, live); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	over, cancel := context.WithCancel(live)
	cancel()
	if got := classify(syscall.ECONNRESET, over, over); got != record.ErrorCanceled {
		t.Errorf("after the run was cancelled: got %q", got)
	}
}

func TestAnAnswerTooLargeIsRefusedWhole(t *testing.T) {
	chunk := make([]byte, 1<<20)
	big := func(w http.ResponseWriter, _ *http.Request) {
		for range 64 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	s := get("/")
	_, sums := journeys(t, Config{Scenario: s, Target: onReal(t, http.HandlerFunc(big))}, 1)
	if sums.Errors["protocol"] != 1 {
		t.Errorf("errors %v, want 1 protocol", sums.Errors)
	}
}

func TestACompressedAnswerIsBounded(t *testing.T) {
	bomb := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer func() { _ = z.Close() }()
		chunk := make([]byte, 1<<20)
		for range 17 {
			_, _ = z.Write(chunk)
		}
	}
	s := get("/")
	s.Steps[0].Expect.Contains = "x"
	if _, sums := journeys(t, Config{Scenario: s, Target: onReal(t, http.HandlerFunc(bomb))}, 1); sums.Errors["protocol"] != 1 {
		t.Errorf("errors %v, want 1 protocol", sums.Errors)
	}
}

func TestTheGuardEndsTheLoad(t *testing.T) {
	s := get("/")
	guard := &targets.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	e := engine(t, Config{Scenario: s, Target: target("http://192.0.2.1"), Guard: guard})
	tally, err := e.Drive(t.Context(), Load{Users: 3, For: time.Minute}, recorder(s))
	var refused *targets.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want the guard's refusal", err)
	}
	var hinted interface{ Hint() string }
	if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "--allow-host 192.0.2.1") {
		t.Errorf("no hint how to allow it")
	}
	if tally.Journeys != 0 {
		t.Errorf("%+v", tally)
	}
	// Without a guard, loopback is all there is.
	e = engine(t, Config{Scenario: s, Target: target("http://192.0.2.1")})
	if _, err := e.Drive(t.Context(), Load{Users: 1, Total: 1}, recorder(s)); !errors.As(err, &refused) {
		t.Errorf("without a guard: got %v, want a refusal", err)
	}
}

func TestExamplesAreFewAndHoldNoSecrets(t *testing.T) {
	const secret = "hunter2-from-env"
	n := 0
	h := func(w http.ResponseWriter, r *http.Request) {
		n++
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprintf(w, "{\"message\":\"no \x00tea for %s\",\"access_token\":\"abc.def\",\"n\":%d,\"pad\":\"%s\"}",
			r.Header.Get("X-Key"), n, strings.Repeat("é", 400))
	}
	s := get("/")
	s.Steps[0].Request.Headers = []scenarios.Field{{Name: "X-Key", Value: text(t, `{{env "KEY"}}`)}}
	e := engine(t, Config{Scenario: s, Target: onReal(t, http.HandlerFunc(h)), Env: func(string) string { return secret }})
	drive(t, t.Context(), e, Load{Users: 1, Total: 20}, recorder(s))
	list := e.Examples()
	if len(list) != 1 || list[0].N != 20 || list[0].Step != "get" || list[0].Class != "status" {
		t.Fatalf("got %+v, want one example, 20 times", list)
	}
	d := list[0].Detail
	if strings.Contains(d, secret) || strings.Contains(d, "abc.def") || strings.ContainsRune(d, 0) {
		t.Errorf("detail %q tells a secret or is not printable", d)
	}
	if !strings.Contains(d, "status 418") || !strings.Contains(d, "no tea for ***") || len([]rune(d)) > detailMax+exampleRunes {
		t.Errorf("detail %q", d)
	}
	if e, ok := e.(*HTTP); ok {
		for i := range 100 {
			e.examples.add("get", record.ErrorProtocol, fmt.Sprint("kind ", i), nil)
		}
		list = e.Examples()
		total := uint64(0)
		for _, x := range list {
			total += x.N
		}
		if len(list) != examplesMax || total != 120 {
			t.Errorf("%d examples of %d failures, want %d of 120", len(list), total, examplesMax)
		}
	}
}
