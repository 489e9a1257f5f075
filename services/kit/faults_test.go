package kit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// faultedServer serves "ok" behind f and echoes request bodies.
func faultedServer(t *testing.T, f *Faults) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(f.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(append([]byte("ok"), body...))
	})))
	t.Cleanup(s.Close)
	return s
}

// askControl sends one request to the control endpoint of a server and returns status and body.
func askControl(t *testing.T, url, method, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, url+FaultsPath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func setFaults(t *testing.T, url, body string) {
	t.Helper()
	if status, answer := askControl(t, url, http.MethodPut, body); status != http.StatusOK {
		t.Fatalf("PUT %s = %d %s", body, status, answer)
	}
}

func TestFaultErrorAnswersWithABody(t *testing.T) {
	s := faultedServer(t, NewFaults(1))
	for body, want := range map[string]int{
		`{"faults":[{"kind":"error"}]}`:              http.StatusServiceUnavailable,
		`{"faults":[{"kind":"error","status":500}]}`: http.StatusInternalServerError,
	} {
		setFaults(t, s.URL, body)
		resp, err := http.Get(s.URL + "/health")
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want || !json.Valid(answer) || len(answer) == 0 {
			t.Errorf("%s: got %d %q, want %d with a JSON body", body, resp.StatusCode, answer, want)
		}
	}
	if status, _ := askControl(t, s.URL, http.MethodDelete, ""); status != http.StatusOK {
		t.Fatalf("DELETE = %d", status)
	}
	resp, err := http.Post(s.URL+"/x", "text/plain", strings.NewReader("!"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); string(answer) != "ok!" {
		t.Errorf("after DELETE: %q", answer)
	}
}

func TestFaultResetIsARealReset(t *testing.T) {
	s := faultedServer(t, NewFaults(1))
	setFaults(t, s.URL, `{"faults":[{"kind":"reset"}]}`)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read = %v, want connection reset", err)
	}
}

func TestFaultDelayWaitsInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFaults(1)
		h := f.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		put := httptest.NewRequest(http.MethodPut, FaultsPath, strings.NewReader(`{"faults":[{"kind":"delay","delay":"3s","for":"10s"}]}`))
		put.RemoteAddr, put.Host = "127.0.0.1:1", "localhost"
		h.ServeHTTP(httptest.NewRecorder(), put)

		start := time.Now()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		if got := time.Since(start); got != 3*time.Second {
			t.Errorf("delayed by %v, want 3s", got)
		}
		time.Sleep(8 * time.Second) // past its 10 s
		start = time.Now()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		if got := time.Since(start); got != 0 || len(f.Show()) != 0 {
			t.Errorf("after it ended: delayed by %v, shown %v", got, f.Show())
		}
	})
}

func TestFaultDelayEndsWithTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFaults(1)
		set, err := readFaults(strings.NewReader(`{"faults":[{"kind":"delay","delay":"1h"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		f.replace(set)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("panic %v, want ErrAbortHandler: a client that is gone gets no answer", p)
			}
			if got := time.Since(start); got != time.Second {
				t.Errorf("held for %v, want 1s", got)
			}
		}()
		f.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
	})
}

func TestFaultStallHoldsUntilItEnds(t *testing.T) {
	for name, end := range map[string]func(f *Faults){
		"expired": func(*Faults) { time.Sleep(time.Minute) },
		"cleared": func(f *Faults) { f.replace(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := NewFaults(1)
				set, err := readFaults(strings.NewReader(`{"faults":[{"kind":"stall","for":"1m"}]}`))
				if err != nil {
					t.Fatal(err)
				}
				f.replace(set)
				answered := make(chan string, 1)
				go func() {
					w := httptest.NewRecorder()
					f.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						_, _ = io.Copy(w, r.Body)
					})).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("kept")))
					answered <- w.Body.String()
				}()
				time.Sleep(59 * time.Second)
				synctest.Wait()
				select {
				case <-answered:
					t.Fatal("answered while stalled")
				default:
				}
				end(f)
				if got := <-answered; got != "kept" {
					t.Errorf("handler read %q, want the whole body", got)
				}
			})
		})
	}
}

// A stalled POST must notice that its client went away, which net/http only does once the body is consumed.
func TestFaultStallNoticesTheClientGoing(t *testing.T) {
	f := NewFaults(1)
	gone := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != FaultsPath {
			defer close(gone)
		}
		f.Wrap(http.NotFoundHandler()).ServeHTTP(w, r)
	}))
	defer s.Close()
	setFaults(t, s.URL, `{"faults":[{"kind":"stall"}]}`)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
	for f.Show()[0].Hits == 0 {
		time.Sleep(time.Millisecond)
	}
	conn.Close()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("still stalled 10 s after the client closed")
	}
}

func TestFaultProbabilityAndPaths(t *testing.T) {
	f := NewFaults(7)
	set, err := readFaults(strings.NewReader(`{"faults":[{"kind":"error","probability":0.25,"paths":["/auth"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	f.replace(set)
	h := f.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	failed := 0
	const n = 4000
	for range n {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/auth/register", nil))
		if w.Code != http.StatusOK {
			failed++
		}
	}
	// Binomial: standard deviation sqrt(4000·0.25·0.75) = 27; the seed is fixed, so this cannot flake.
	if failed < 1000-110 || failed > 1000+110 || f.Show()[0].Hits != uint64(failed) {
		t.Errorf("%d of %d hit (%d counted), want about a quarter", failed, n, f.Show()[0].Hits)
	}
	for range 50 {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/health", nil)); w.Code != http.StatusOK {
			t.Fatal("a path outside the prefixes was hit")
		}
	}
}

func TestFaultControlIsForThisMachineAndNeverFaulted(t *testing.T) {
	f := NewFaults(1)
	h := f.Wrap(http.NotFoundHandler())
	ask := func(method, remote, host, origin, body string) int {
		r := httptest.NewRequest(method, FaultsPath, strings.NewReader(body))
		r.RemoteAddr, r.Host = remote, host
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	stall := `{"faults":[{"kind":"stall"},{"kind":"reset"}]}`
	for _, c := range []struct {
		method, remote, host, origin string
		want                         int
	}{
		{http.MethodPut, "192.0.2.1:5", "localhost", "", 403},
		{http.MethodGet, "10.0.0.1:5", "127.0.0.1:8001", "", 403},
		{http.MethodDelete, "[2001:db8::1]:5", "localhost", "", 403},
		{http.MethodGet, "@", "localhost", "", 403},
		{http.MethodPut, "127.0.0.1:5", "127.0.0.1:8001", "http://evil.example", 403},
		{http.MethodPut, "127.0.0.1:5", "evil.example", "", 403},         // a name that was made to point here
		{http.MethodPut, "127.0.0.1:5", "127.0.0.1.example:80", "", 403}, // one that only looks like it
		{http.MethodGet, "127.0.0.1:5", "192.0.2.1", "", 403},
		{http.MethodGet, "127.0.0.1:5", "", "", 403},
		{http.MethodPut, "127.0.0.1:5", "127.0.0.1:8001", "", 200},
		{http.MethodGet, "[::1]:5", "[::1]:8001", "", 200},
		{http.MethodGet, "[::1]:5", "[::1]", "", 200},
		{http.MethodGet, "[::ffff:127.0.0.1]:5", "LocalHost:8001", "", 200},
		{http.MethodPost, "127.0.0.1:5", "localhost", "", 405},
		{http.MethodDelete, "127.0.0.9:5", "127.0.0.9:1", "", 200},
	} {
		if got := ask(c.method, c.remote, c.host, c.origin, stall); got != c.want {
			t.Errorf("%s from %s to %q origin %q = %d, want %d", c.method, c.remote, c.host, c.origin, got, c.want)
		}
	}
	if len(f.Show()) != 0 {
		t.Errorf("after DELETE: %v", f.Show())
	}
}

func TestFaultControlRefusesWhatItDoesNotUnderstand(t *testing.T) {
	f := NewFaults(1)
	s := faultedServer(t, f)
	setFaults(t, s.URL, `{"faults":[{"kind":"delay","delay":"1ms","for":"1h"}]}`)
	for body, about := range map[string]string{
		`{"faults":[{"kind":"delya","delay":"1s"}]}`:                     "kind",
		`{"faults":[{"kind":"delay"}]}`:                                  "delay",
		`{"faults":[{"kind":"delay","delay":"-1s"}]}`:                    "delay",
		`{"faults":[{"kind":"stall","delay":"1s"}]}`:                     "delay",
		`{"faults":[{"kind":"stall","status":500}]}`:                     "status",
		`{"faults":[{"kind":"error","status":200}]}`:                     "status",
		`{"faults":[{"kind":"error","probability":0}]}`:                  "probability",
		`{"faults":[{"kind":"error","probability":1.5}]}`:                "probability",
		`{"faults":[{"kind":"error","for":"soon"}]}`:                     "for",
		`{"faults":[{"kind":"error","paths":["health"]}]}`:               "paths",
		`{"faults":[{"kind":"error","colour":"red"}]}`:                   "colour",
		`{"faults":[]} {}`:                                               "follows",
		`{"faults":`:                                                     "EOF",
		`{"faults":[{"kind":"x"},{"kind":"error","status":1}]}`:          "faults[1]",
		`{"faults":[` + strings.Repeat(`{"kind":"reset"},`, 40) + `{}]}`: "at most",
	} {
		if status, answer := askControl(t, s.URL, http.MethodPut, body); status != http.StatusBadRequest || !strings.Contains(answer, about) {
			t.Errorf("%s = %d %s, want 400 about %q", body, status, answer, about)
		}
	}
	if status, _ := askControl(t, s.URL, http.MethodPut, `{"faults":[`+strings.Repeat(" ", faultsBodyLimit)+`]}`); status != http.StatusRequestEntityTooLarge {
		t.Errorf("oversize = %d, want 413", status)
	}
	if shown := f.Show(); len(shown) != 1 || shown[0].Kind != FaultDelay || shown[0].Remaining == "" {
		t.Errorf("a refused set changed what is in force: %+v", shown)
	}
	// What GET shows can be edited and sent back.
	_, shown := askControl(t, s.URL, http.MethodGet, "")
	setFaults(t, s.URL, shown)
}

func TestFaultsUnderConcurrency(t *testing.T) {
	f := NewFaults(3)
	h := f.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				if i == 0 {
					set, _ := readFaults(bytes.NewBufferString(`{"faults":[{"kind":"error","probability":0.5},{"kind":"delay","delay":"1us"}]}`))
					f.replace(set)
					f.Show()
				}
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x")))
			}
		})
	}
	wg.Wait()
}
