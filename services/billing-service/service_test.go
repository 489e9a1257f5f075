package billingservice

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/captest/captest/services/kit"
	"github.com/captest/captest/services/kit/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Both(m).Run()) }

// fakeKillBill keeps accounts by external key and remembers what it was asked.
type fakeKillBill struct {
	*httptest.Server
	mu       sync.Mutex
	accounts map[string]string // external key → id
	tagged   map[string]bool   // by id
	closed   map[string]bool   // by id
	asked    []string
	fail     map[string]int           // "METHOD path" → status, with a body
	lose     map[string]string        // "METHOD path" → cut the connection "before" or "after" it takes effect
	hold     map[string]chan struct{} // "METHOD path" → waits for this before it takes effect
	holding  bool                     // a call waits so
	pathOnly bool                     // Location without host
	noTenant bool                     // tenants: 500
	away     bool                     // cuts every connection
}

func newFakeKillBill(t *testing.T) *fakeKillBill {
	t.Helper()
	k := &fakeKillBill{
		accounts: map[string]string{}, tagged: map[string]bool{}, closed: map[string]bool{}, fail: map[string]int{},
		lose: map[string]string{}, hold: map[string]chan struct{}{},
	}
	k.Server = httptest.NewServer(k)
	t.Cleanup(k.Close)
	return k
}

func (k *fakeKillBill) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/1.0/kb")
	if strings.HasSuffix(call, "/tags") {
		call = "POST tags"
	}
	if r.Method == http.MethodDelete {
		call = "DELETE account"
	}
	body, _ := io.ReadAll(r.Body)
	k.mu.Lock()
	hold := k.hold[call]
	k.holding = k.holding || hold != nil
	k.mu.Unlock()
	if hold != nil {
		<-hold
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.away || k.lose[call] == "before" {
		panic(http.ErrAbortHandler)
	}
	if k.lose[call] == "after" {
		w = httptest.NewRecorder()
		defer panic(http.ErrAbortHandler)
	}
	user, password, _ := r.BasicAuth()
	if user != "admin" || password != "password" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	k.asked = append(k.asked, call)
	if r.Method != http.MethodGet && r.Header.Get("X-Killbill-CreatedBy") == "" {
		http.Error(w, "Header X-Killbill-CreatedBy needs to be set", http.StatusBadRequest)
		return
	}
	if call == "POST /tenants" {
		switch {
		case k.noTenant:
			http.Error(w, "later", http.StatusInternalServerError)
		case strings.Count(strings.Join(k.asked, "\n"), call) > 1:
			http.Error(w, `{"code":20000}`, http.StatusConflict)
		default:
			w.WriteHeader(http.StatusCreated)
		}
		return
	}
	if r.Header.Get("X-Killbill-ApiKey") != "bob" || r.Header.Get("X-Killbill-ApiSecret") != "lazar" {
		http.Error(w, "<html>", http.StatusUnauthorized)
		return
	}
	if status := k.fail[call]; status != 0 {
		http.Error(w, `{"message":"over capacity"}`, status)
		return
	}
	switch call {
	case "GET /accounts":
		id, ok := k.accounts[r.URL.Query().Get("externalKey")]
		if !ok {
			http.Error(w, `{"code":3003}`, http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"accountId": id, "notes": nil})
	case "POST /accounts":
		var in map[string]string
		if err := json.Unmarshal(body, &in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if _, ok := k.accounts[in["externalKey"]]; ok {
			http.Error(w, `{"code":3000}`, http.StatusConflict)
			return
		}
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", len(k.accounts))
		k.accounts[in["externalKey"]] = id
		location := "/1.0/kb/accounts/" + id
		if !k.pathOnly {
			location = k.URL + location
		}
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusCreated)
	case "POST tags":
		if string(body) != `["00000000-0000-0000-0000-000000000001"]` {
			http.Error(w, "not AUTO_PAY_OFF", http.StatusBadRequest)
			return
		}
		k.tagged[strings.Split(r.URL.Path, "/")[4]] = true
		w.WriteHeader(http.StatusCreated)
	case "DELETE account":
		k.closed[strings.Split(r.URL.Path, "/")[4]] = true
		w.WriteHeader(http.StatusNoContent)
	default:
		http.NotFound(w, r)
	}
}

// calls gives what was asked since the last time.
func (k *fakeKillBill) calls() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	asked := k.asked
	k.asked = nil
	return asked
}

func knobs() kit.Knobs {
	return kit.Knobs{
		Workers: 4, Client: kit.Pooled, MaxConnections: 20, Keepalive: 10, ConnectTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second,
		PoolTimeout: 10 * time.Second, Semaphore: 10, SemaphoreWait: 10 * time.Second, ErrorPath: kit.Closes, Abandoned: kit.Cancelled,
		KillBillCalls: 2, DBPool: 5,
	}
}

func start(t *testing.T, k kit.Knobs, kb *fakeKillBill) (*Service, string) {
	t.Helper()
	return startOver(t, newPlace(t), k, kb)
}

// place is a store that outlives a service.
type place struct{ dir, url string }

func newPlace(t *testing.T) place {
	t.Helper()
	return place{t.TempDir(), storetest.URL(t)}
}

// startOver starts over a store which an earlier process may have left behind.
func startOver(t *testing.T, p place, k kit.Knobs, kb *fakeKillBill) (*Service, string) {
	t.Helper()
	s, err := New(t.Context(), Config{Dir: p.dir, Store: p.url, KillBill: kb.URL, Knobs: k, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		server.Close()
		_ = s.Close()
	})
	return s, server.URL
}

func ask(t *testing.T, method, url, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

func order(customer string) string {
	return fmt.Sprintf(`{"customer_id":%q,"email":"a@load.example","name":"Ada King","company":"","currency":"USD"}`, customer)
}

func TestAnAccountTakesTwoCallsOrFour(t *testing.T) {
	for calls, want := range map[int][]string{
		2: {"POST /accounts", "POST tags"},
		4: {"GET /accounts", "POST /accounts", "GET /accounts", "POST tags"},
	} {
		for _, pathOnly := range []bool{false, true} {
			kb := newFakeKillBill(t)
			kb.pathOnly = pathOnly
			k := knobs()
			k.KillBillCalls = calls
			_, url := start(t, k, kb)
			if diff := cmp.Diff([]string{"POST /tenants"}, kb.calls()); diff != "" {
				t.Errorf("at the start (-want +got):\n%s", diff)
			}
			status, made := ask(t, "POST", url+"/api/billing/accounts/", order("c1"))
			id, _ := made["killbill_account_id"].(string)
			if status != 200 || made["success"] != true || made["customer_id"] != "c1" || id != kb.accounts["c1"] || id == "" || !kb.tagged[id] {
				t.Errorf("%d calls: %d %v", calls, status, made)
			}
			if diff := cmp.Diff(want, kb.calls()); diff != "" {
				t.Errorf("%d calls (-want +got):\n%s", calls, diff)
			}
			if status, again := ask(t, "POST", url+"/api/billing/accounts", order("c1")); status != 200 || again["killbill_account_id"] != id {
				t.Errorf("again: %d %v", status, again)
			}
			if status, found := ask(t, "GET", url+"/api/billing/accounts/c1", ""); status != 200 || found["killbill_account_id"] != id {
				t.Errorf("get: %d %v", status, found)
			}
			if status, none := ask(t, "GET", url+"/api/billing/accounts/c2", ""); status != 404 || none["success"] != false {
				t.Errorf("get of nobody: %d %v", status, none)
			}
			if asked := kb.calls(); asked != nil {
				t.Errorf("a known account was asked for: %v", asked)
			}
		}
	}
}

func TestAnAccountThatKillBillHasAlreadyIsTakenOver(t *testing.T) {
	for _, calls := range []int{2, 4} {
		kb := newFakeKillBill(t)
		kb.accounts["c1"] = "00000000-0000-4000-8000-00000000abcd"
		k := knobs()
		k.KillBillCalls = calls
		_, url := start(t, k, kb)
		status, made := ask(t, "POST", url+"/api/billing/accounts/", order("c1"))
		if status != 200 || made["killbill_account_id"] != kb.accounts["c1"] || !kb.tagged[kb.accounts["c1"]] {
			t.Errorf("%d calls: %d %v", calls, status, made)
		}
	}
}

// A failure after the look-up loses two connections on the leaking path: the failed call's and the look-up's.
func TestTheLeakingErrorPathForgetsTheLookUpToo(t *testing.T) {
	for path, want := range map[string]string{kit.Leaks: "2", kit.Closes: "0"} {
		kb := newFakeKillBill(t)
		kb.fail["POST /accounts"] = 503
		k := knobs()
		k.KillBillCalls, k.ErrorPath = 4, path
		_, url := start(t, k, kb)
		ask(t, "POST", url+"/api/billing/accounts/", order("c1"))
		resp, err := http.Get(url + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(text), `http_client_connections_in_use{downstream="kill-bill"} `+want+"\n") {
			t.Errorf("%s: in use is not %s (%v)", path, want, err)
		}
	}
}

func TestKillBillMayComeUpLater(t *testing.T) {
	kb := newFakeKillBill(t)
	kb.noTenant = true
	_, url := start(t, knobs(), kb)
	if status, _ := ask(t, "POST", url+"/api/billing/accounts/", order("c1")); status != 502 {
		t.Errorf("without a tenant: %d", status)
	}
	kb.mu.Lock()
	kb.noTenant = false
	kb.mu.Unlock()
	if status, answer := ask(t, "POST", url+"/api/billing/accounts/", order("c1")); status != 200 {
		t.Errorf("with one: %d %v", status, answer)
	}
}

func TestBadAccountsAreRefusedHere(t *testing.T) {
	kb := newFakeKillBill(t)
	_, url := start(t, knobs(), kb)
	kb.calls()
	long := strings.Repeat("x", 300)
	for body, field := range map[string]string{
		`{"email":"a@b.example"}`:                                   "customer_id",
		`{"customer_id":"` + long + `"}`:                            "customer_id",
		`{"customer_id":"c","email":"` + long + `"}`:                "email",
		`{"customer_id":"c","name":"` + long + `"}`:                 "name",
		`{"customer_id":"c","company":"` + long[:51] + `"}`:         "company",
		`{"customer_id":"c","currency":"EURO"}`:                     "currency",
		`{"customer_id":"c","currency":"EUR","customer":"unknown"}`: "customer",
	} {
		status, answer := ask(t, "POST", url+"/api/billing/accounts/", body)
		if errs, _ := answer["errors"].(map[string]any); status != 422 || errs[field] == nil {
			t.Errorf("%.60s: %d %v, want 422 for %s", body, status, answer, field)
		}
	}
	if asked := kb.calls(); asked != nil {
		t.Errorf("Kill Bill was asked: %v", asked)
	}
}

func TestIdsAreFoundInFullAndPathOnlyLocations(t *testing.T) {
	const id = "0f63b4f5-9a1c-4ad8-b5a3-0123456789ab"
	for location, want := range map[string]string{
		"http://127.0.0.1:8080/1.0/kb/accounts/" + id: id,
		"/1.0/kb/accounts/" + id:                      id,
		"/1.0/kb/accounts/" + id + "/":                id,
		"":                                            "",
		"/1.0/kb/accounts/not-an-id":                  "",
		"http://%zz":                                  "",
	} {
		if got := idIn(location); got != want {
			t.Errorf("%q: %q, want %q", location, got, want)
		}
	}
}

func TestAccessIsNeverPrinted(t *testing.T) {
	a := Access{User: "u-secret", Password: "p-secret", APIKey: "k-secret", APISecret: "s-secret"}
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "access", a)
	if text := fmt.Sprint(a) + fmt.Sprintf("%+v %#v", a, a) + b.String(); strings.Contains(text, "secret") {
		t.Error(text)
	}
}
