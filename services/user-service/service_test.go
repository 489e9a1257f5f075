package userservice

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/captest/captest/services/kit"
	"github.com/captest/captest/services/kit/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Both(m).Run()) }

// fakeBilling opens accounts unless told otherwise.
type fakeBilling struct {
	*httptest.Server
	mu       sync.Mutex
	accounts map[string]bool // open
	closed   map[string]bool // was told to close, whether or not it had opened
	calls    atomic.Int64
	away     atomic.Bool // cuts every connection
	lose     atomic.Bool // closes, and cuts the connection instead of answering
	// instead, when set, answers a POST in place of opening the account, which it may still do with open.
	instead atomic.Pointer[func(w http.ResponseWriter, r *http.Request, open func())]
}

func newFakeBilling(t *testing.T) *fakeBilling {
	t.Helper()
	b := &fakeBilling{accounts: map[string]bool{}, closed: map[string]bool{}}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *fakeBilling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.away.Load() {
		panic(http.ErrAbortHandler)
	}
	if r.Method == http.MethodDelete {
		id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		b.mu.Lock()
		b.closed[id] = true
		delete(b.accounts, id)
		b.mu.Unlock()
		if b.lose.Load() {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	b.calls.Add(1)
	var in map[string]string
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	open := func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if id := in["customer_id"]; !b.closed[id] { // one that comes after its DELETE is refused
			b.accounts[id] = true
		}
	}
	if f := b.instead.Load(); f != nil {
		(*f)(w, r, open)
		return
	}
	open()
	_, _ = io.WriteString(w, `{"success":true}`)
}

// has counts the accounts that are open, and those it was told to close.
func (b *fakeBilling) has() (accounts, closed int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.accounts), len(b.closed)
}

func (b *fakeBilling) open(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.accounts[id]
}

func (b *fakeBilling) answer(f func(w http.ResponseWriter, r *http.Request, open func())) {
	b.instead.Store(&f)
}

func (b *fakeBilling) fail(status int) {
	b.answer(func(w http.ResponseWriter, _ *http.Request, _ func()) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"success":false}`)
	})
}

func knobs() kit.Knobs {
	return kit.Knobs{
		Workers: 4, Hash: kit.InPool, HashCost: 4, HashPool: 2, HashQueue: 128, Client: kit.Pooled, MaxConnections: 20, Keepalive: 10,
		KeepaliveExpiry: 30 * time.Second, ConnectTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second,
		WriteTimeout: 5 * time.Second, PoolTimeout: 10 * time.Second, Semaphore: 10, SemaphoreWait: 10 * time.Second,
		ErrorPath: kit.Closes, Undo: kit.Closes, Admission: 128, Abandoned: kit.Cancelled, DBPool: 5,
	}
}

type fixture struct {
	*Service
	url     string
	billing *fakeBilling
	dir     string
	store   string // "": SQLite, in dir
	knobs   kit.Knobs
}

func start(t *testing.T, k kit.Knobs) *fixture {
	t.Helper()
	f := &fixture{billing: newFakeBilling(t), dir: t.TempDir(), store: storetest.URL(t), knobs: k}
	f.open(t)
	return f
}

// open makes the service over the store in the fixture's directory; again, as after a crash, when there is one.
func (f *fixture) open(t *testing.T) {
	t.Helper()
	s, err := New(t.Context(), Config{Dir: f.dir, Store: f.store, Billing: f.billing.URL, Knobs: f.knobs, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s.Handler())
	server.Listener = s.App().Loops().Listener(server.Listener)
	server.Config.ConnContext = s.App().Loops().ConnContext
	server.Start()
	f.Service, f.url = s, server.URL
	t.Cleanup(func() {
		server.Close()
		_ = s.Close()
	})
}

func (f *fixture) ask(t *testing.T, method, path, body string, header ...string) (int, http.Header, map[string]any) {
	t.Helper()
	status, head, answer, err := f.request(t.Context(), method, path, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return status, head, answer
}

func (f *fixture) request(ctx context.Context, method, path, body string, header ...string) (int, http.Header, map[string]any, error) {
	req, err := http.NewRequestWithContext(ctx, method, f.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	var answer map[string]any
	_ = json.Unmarshal(raw, &answer) // metrics are not JSON
	if answer == nil {
		answer = map[string]any{"raw": string(raw)}
	}
	return resp.StatusCode, resp.Header, answer, err
}

func (f *fixture) register(t *testing.T, email string) (int, map[string]any) {
	t.Helper()
	status, _, answer := f.ask(t, "POST", "/auth/register", form(email))
	return status, answer
}

func form(email string) string {
	return fmt.Sprintf(`{"email":%q,"password":"Correct-Horse-1","first_name":"Ada","last_name":"King","accept_terms":true}`, email)
}

// metric reads one line of /metrics by its start.
func (f *fixture) metric(t *testing.T, name string) float64 {
	t.Helper()
	_, _, answer := f.ask(t, "GET", "/metrics", "")
	for line := range strings.SplitSeq(answer["raw"].(string), "\n") {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			var v float64
			if _, err := fmt.Sscan(rest, &v); err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// rows counts the customers in the store, whatever their state.
func (f *fixture) rows(t *testing.T) (all, active int) {
	t.Helper()
	err := f.db.QueryRowContext(context.WithoutCancel(t.Context()),
		`SELECT count(*), count(*) FILTER (WHERE state = 'active') FROM customers`).Scan(&all, &active)
	if err != nil {
		t.Fatal(err)
	}
	return all, active
}
