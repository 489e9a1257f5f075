package instanceservice

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/services/kit"
	"github.com/captest/captest/services/kit/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Both(m).Run()) }

func TestInstances(t *testing.T) {
	billing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/billing/accounts/known":
			_, _ = w.Write([]byte(`{"success":true}`))
		case "/api/billing/accounts/broken":
			http.Error(w, `{"success":false}`, http.StatusInternalServerError)
		default:
			http.Error(w, `{"success":false}`, http.StatusNotFound)
		}
	}))
	defer billing.Close()
	s, err := New(t.Context(), Config{Dir: t.TempDir(), Store: storetest.URL(t), Billing: billing.URL, Log: slog.New(slog.DiscardHandler), Knobs: kit.Knobs{
		Workers: 2, Client: kit.Pooled, MaxConnections: 5, Keepalive: 5, ReadTimeout: 10 * time.Second, ErrorPath: kit.Closes, DBPool: 3,
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	ask := func(method, path, body string) (int, map[string]any) {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
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

	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/api/v1/instances/", `{"name":"one","customer_id":"known","plan":"small"}`, 201},
		{"POST", "/api/v1/instances", `{"name":"two","customer_id":"known"}`, 201},
		{"POST", "/api/v1/instances/", `{"name":"one","customer_id":"unknown"}`, 422},
		{"POST", "/api/v1/instances/", `{"name":"one","customer_id":"broken"}`, 502},
		{"POST", "/api/v1/instances/", `{"name":"","customer_id":"known"}`, 422},
		{"POST", "/api/v1/instances/", `{"name":"one","customer":"known"}`, 422},
		{"GET", "/api/v1/instances/", "", 422},
	} {
		if status, answer := ask(c.method, c.path, c.body); status != c.want {
			t.Errorf("%s %s %s: %d %v, want %d", c.method, c.path, c.body, status, answer, c.want)
		}
	}
	for customer, want := range map[string]int{"known": 2, "unknown": 0} {
		status, answer := ask("GET", "/api/v1/instances/?customer_id="+customer, "")
		if list, isList := answer["instances"].([]any); status != 200 || !isList || len(list) != want {
			t.Errorf("%s: %d %v, want %d instances", customer, status, answer, want)
		}
	}
}
