package observe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/targets"
)

// serve starts a service on loopback.
func serve(t *testing.T, name string, h http.HandlerFunc) targets.Service {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return targets.Service{Name: name, URL: s.URL, Metrics: "/metrics"}
}

func newFolder(t *testing.T) *record.Folder {
	t.Helper()
	f, err := record.Create(t.TempDir(), "s", "t", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// watch observes services until each has been scraped n times, then returns what is on disk.
func watch(t *testing.T, n int, timeout time.Duration, list ...targets.Service) (*Observer, *record.Run) {
	t.Helper()
	folder := newFolder(t)
	o := New(Config{Target: &targets.Target{Services: list}, Folder: folder, Every: 10 * time.Millisecond})
	for _, s := range o.scrapers {
		s.timeout = timeout
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { o.Run(ctx) })
	enough := func() bool {
		run, err := record.Read(folder.Dir())
		if err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for _, x := range run.Scrapes {
			count[x.Service]++
		}
		for _, s := range o.scrapers {
			if count[s.service.Name] < n {
				return false
			}
		}
		return true
	}
	deadline := time.Now().Add(30 * time.Second)
	for !enough() {
		if time.Now().After(deadline) {
			t.Fatal("the services were not scraped often enough in 30 s")
		}
		time.Sleep(20 * time.Millisecond)
	}
	cancel()
	wg.Wait()
	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}
	run, err := record.Read(folder.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return o, run
}

// A service that hangs, refuses, talks garbage or floods is data; the one beside it is read all the same.
func TestScrapesOfEveryKindOfService(t *testing.T) {
	const timeout = 500 * time.Millisecond
	good := fixture(t, "user.prom")
	release := make(chan struct{})
	t.Cleanup(func() { close(release) }) // runs before the servers close, which wait for their handlers
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	hang := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}
	list := []targets.Service{
		serve(t, "good", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(good) }),
		serve(t, "hangs", hang),
		serve(t, "trickles", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, "a 1")
			_ = http.NewResponseController(w).Flush()
			hang(w, r)
		}),
		{Name: "refuses", URL: "http://" + closed.Addr().String(), Metrics: "/metrics"},
		serve(t, "garbage", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("}{\x00 not metrics")) }),
		serve(t, "page", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html></html>")) }),
		serve(t, "broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }),
		serve(t, "redirects", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/metrics", http.StatusFound)
		}),
		serve(t, "huge", func(w http.ResponseWriter, _ *http.Request) {
			line := []byte(strings.Repeat("x", 1<<16) + " 1\n")
			for range mostBytes/len(line) + 2 {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}),
		serve(t, "hangs up", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
		}),
		{Name: "forbidden", URL: "http://192.0.2.1:1", Metrics: "/metrics"},
		serve(t, "silent", func(http.ResponseWriter, *http.Request) {}),
		{Name: "without metrics", URL: "http://127.0.0.1:1"},
	}
	list[11].Metrics = "" // "silent" has no metrics path either
	o, run := watch(t, 2, timeout, list...)
	want := map[string][]string{
		"good": {""}, "hangs": {"timeout"}, "trickles": {"timeout"}, "refuses": {"refused"}, "garbage": {"not metrics"},
		"page": {"a web page"}, "broken": {"status 500"}, "redirects": {"status 302"}, "huge": {"longer than 4 MiB", "timeout"},
		"hangs up": {"closed", "reset"}, "forbidden": {"192.0.2.1"},
	}
	seen := map[string]int{}
	for _, x := range run.Scrapes {
		seen[x.Service]++
		fits := false
		for _, text := range want[x.Service] {
			fits = fits || text == x.Error || text != "" && strings.Contains(x.Error, text)
		}
		// A slow test machine may let any scrape time out, the good one's too.
		if !fits && x.Error != "timeout" {
			t.Errorf("%s: error %q, want one of %q", x.Service, x.Error, want[x.Service])
		}
		if (x.Error == "") != (len(x.Values) > 0) || x.Ms < 0 {
			t.Errorf("%s: error %q with %d values in %v ms", x.Service, x.Error, len(x.Values), x.Ms)
		}
		if x.Error == "timeout" && x.Ms < 1000*timeout.Seconds()*0.9 {
			t.Errorf("%s timed out after %v ms", x.Service, x.Ms)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("scraped %v, want %d services", seen, len(want))
	}
	if seen["good"] <= seen["hangs"] {
		t.Errorf("the good service was scraped %d times, the one that hangs %d times: one delays the other", seen["good"], seen["hangs"])
	}
	latest, ok := o.Latest("good")
	if !ok || latest.Values["process_open_fds"] != 17 {
		t.Errorf("latest of good is %+v, %v", latest, ok)
	}
	for _, name := range []string{"hangs", "without metrics", "nobody"} {
		if _, ok := o.Latest(name); ok {
			t.Errorf("%s has a latest scrape", name)
		}
	}
	if len(run.Hosts) == 0 {
		t.Error("no readings of the host")
	}
}

func TestOneKeptConnectionPerService(t *testing.T) {
	var opened atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			t.Error("the scrape asks for compression")
		}
		_, _ = w.Write([]byte("a_total 1\n"))
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	_, run := watch(t, 5, 20*time.Second, targets.Service{Name: "a", URL: s.URL, Metrics: "/metrics"})
	if got := opened.Load(); got != 1 {
		t.Errorf("%d connections for %d scrapes", got, len(run.Scrapes))
	}
}

func TestTheGuardIsAsked(t *testing.T) {
	service := serve(t, "a", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("a 1\n")) })
	o := New(Config{
		Target: &targets.Target{Services: []targets.Service{{Name: "a", URL: "http://192.0.2.7:9", Metrics: "/m"}}},
		Guard:  &targets.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
	})
	_, err := o.scrapers[0].fetch(t.Context())
	if err == nil || !strings.Contains(describe(err), "192.0.2.7") {
		t.Errorf("an address that is not allowed gives %v", err)
	}
	o = New(Config{Target: &targets.Target{Services: []targets.Service{service}}})
	if _, err := o.scrapers[0].fetch(t.Context()); err != nil {
		t.Errorf("loopback: %v", err)
	}
	o.scrapers[0].close()
}

func TestRestartsAreEvents(t *testing.T) {
	var n atomic.Int64
	now := float64(time.Now().Unix())
	// Jitter, a worker that was there before anybody asked, a restart, another worker process, the same again.
	starts := []float64{now - 1000, now - 999.6, now - 500, now + 50, now - 1000, now + 50}
	service := serve(t, "user", func(w http.ResponseWriter, _ *http.Request) {
		i := min(int(n.Add(1))-1, len(starts)-1)
		fmt.Fprintf(w, "process_start_time_seconds %f\n", starts[i])
	})
	_, run := watch(t, len(starts)+1, 20*time.Second, service)
	var texts []string
	for _, e := range run.Events {
		if e.Kind == record.EventTarget {
			texts = append(texts, e.Text)
			if string(e.Data) != `{"service":"user","state":"restarted"}` || e.Trial != -1 {
				t.Errorf("the event is %+v with %s", e, e.Data)
			}
		}
	}
	if diff := cmp.Diff([]string{"user restarted (seen in its metrics)"}, texts); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestTooManyValuesAreBoundedAndSaidOnce(t *testing.T) {
	var body strings.Builder
	for i := range mostValues + 7 {
		fmt.Fprintf(&body, "metric_%d 1\n", i)
	}
	_, run := watch(t, 3, 20*time.Second, serve(t, "big", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body.String())) }))
	if got := len(run.Scrapes[0].Values); got != mostValues {
		t.Errorf("%d values are kept", got)
	}
	warnings := 0
	for _, e := range run.Events {
		if e.Kind == record.EventWarning && strings.Contains(e.Text, "7 were left out") {
			warnings++
		}
	}
	if warnings != 1 {
		t.Errorf("%d warnings", warnings)
	}
}

func TestGauges(t *testing.T) {
	o := New(Config{Target: &targets.Target{Services: []targets.Service{
		{Name: "user", URL: "http://127.0.0.1:1", Metrics: "/metrics"},
		{Name: "silent", URL: "http://127.0.0.1:1", Metrics: "/metrics"},
		{Name: "kill-bill", URL: "http://127.0.0.1:1", Metrics: "/1.0/metrics", Kind: killBill},
	}}})
	first, err := parsePrometheus(fixture(t, "user.prom"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := parsePrometheus(fixture(t, "user.prom"))
	if err != nil {
		t.Fatal(err)
	}
	second[`event_loop_busy_seconds_total{worker="0"}`] += 0.5
	second[`event_loop_busy_seconds_total{worker="1"}`] += 1.5
	second["process_cpu_seconds_total"] += 3
	user := o.scrapers[0]
	user.before, user.last = &record.Scrape{OffsetS: 10, Values: first}, &record.Scrape{OffsetS: 12, Values: second}
	bill, err := parseDropwizard(fixture(t, "kill-bill.json"))
	if err != nil {
		t.Fatal(err)
	}
	addRoles(bill, nil)
	o.scrapers[2].last, o.scrapers[2].stale = &record.Scrape{OffsetS: 12, Values: bill}, true

	want := []record.Gauge{
		{Service: "user", Name: "event loop busy", Value: 75, Max: 100, Unit: "%"}, // the busier of two
		{Service: "user", Name: "hash pool", Value: 2, Max: 2},
		{Service: "user", Name: "hash queue", Value: 7},
		{Service: "user", Name: "semaphore billing", Value: 6, Max: 10}, // the one without a limit is none
		{Service: "user", Name: "pool billing", Value: 4},
		{Service: "user", Name: "breaker billing", Value: 1, Max: 2},
		{Service: "user", Name: "in progress", Value: 9},
		{Service: "user", Name: "open fds", Value: 17, Max: 1024},
		{Service: "user", Name: "cpu", Value: 150, Unit: "%"},
		{Service: "kill-bill", Name: "slots", Value: 27, Max: 27, Stale: true},
		{Service: "kill-bill", Name: "database pool", Value: 3, Max: 30, Stale: true},
		{Service: "kill-bill", Name: "open fds", Value: 55, Max: 100, Stale: true},
	}
	if diff := cmp.Diff(want, o.Gauges()); diff != "" {
		t.Errorf("gauges (-want +got):\n%s", diff)
	}

	second["process_start_time_seconds"]++ // another process: its counters are not the first one's
	for _, g := range o.Gauges() {
		if g.Name == "cpu" || g.Name == "event loop busy" {
			t.Errorf("%s is %v across a restart", g.Name, g.Value)
		}
	}
}

func TestGaugesOfRolesFromATargetFile(t *testing.T) {
	values := map[string]float64{"acme_free": 3, "acme_size": 8, "acme_lag": 0.02, "acme_hash": 1, "acme_hashers": 4}
	addRoles(values, map[string]string{
		"sem.available": "acme_free", "sem.max": "acme_size", "loop.lag": "acme_lag", "hash.busy": "acme_hash", "hash.max": "acme_hashers",
	})
	g := gauger{service: "a", now: seriesOf(&record.Scrape{Values: values})}
	want := []record.Gauge{
		{Service: "a", Name: "event loop lag", Value: 20, Unit: "ms"},
		{Service: "a", Name: "hash pool", Value: 1, Max: 4},
		{Service: "a", Name: "semaphore", Value: 5, Max: 8},
	}
	if diff := cmp.Diff(want, g.all()); diff != "" {
		t.Errorf("gauges (-want +got):\n%s", diff)
	}
}
