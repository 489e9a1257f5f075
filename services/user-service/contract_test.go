package userservice

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRegister(t *testing.T) {
	f := start(t, knobs())
	status, answer := f.register(t, "Ada@Load.Example")
	if status != http.StatusCreated || answer["success"] != true || answer["message"] == "" {
		t.Fatalf("%d %v", status, answer)
	}
	c := answer["customer"].(map[string]any)
	if c["email"] != "ada@load.example" || c["first_name"] != "Ada" || c["last_name"] != "King" || c["requires_verification"] != true {
		t.Errorf("customer %v", c)
	}
	if !f.billing.open(c["id"].(string)) {
		t.Error("billing has no account for the customer")
	}
	if status, answer := f.register(t, " ADA@load.example "); status != http.StatusConflict || answer["success"] != false {
		t.Errorf("the same e-mail again: %d %v", status, answer)
	}
	if n := f.billing.calls.Load(); n != 1 {
		t.Errorf("billing was called %d times", n)
	}
}

func TestRegisterNamesEachFieldThatIsWrong(t *testing.T) {
	f := start(t, knobs())
	for _, c := range []struct {
		name, old, new string
		field          string
	}{
		{"no e-mail", `"a@b.example"`, `""`, "email"},
		{"no address", `"a@b.example"`, `"a b@c"`, "email"},
		{"a name with the address", `"a@b.example"`, `"A <a@b.example>"`, "email"},
		{"a long address", `a@b.example`, strings.Repeat("a", 120) + `@b.example`, "email"},
		{"a short password", "Correct-Horse-1", "short", "password"},
		{"a password beyond bcrypt", "Correct-Horse-1", strings.Repeat("x", 73), "password"},
		{"few letters, many bytes", "Correct-Horse-1", strings.Repeat("ü", 37), "password"},
		{"no first name", `"Ada"`, `"  "`, "first_name"},
		{"a long last name", `"King"`, `"` + strings.Repeat("x", 50) + `"`, "last_name"},
		{"a name on two lines", `"King"`, `"Ki\nng"`, "last_name"},
		{"terms not accepted", `true`, `false`, "accept_terms"},
		{"a field too many", `"accept_terms"`, `"admin":true,"accept_terms"`, "admin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, _, answer := f.ask(t, "POST", "/auth/register", strings.Replace(form("a@b.example"), c.old, c.new, 1))
			errs, _ := answer["errors"].(map[string]any)
			if status != http.StatusUnprocessableEntity || errs[c.field] == nil || len(errs) != 1 {
				t.Errorf("%d %v, want 422 for %s alone", status, answer, c.field)
			}
		})
	}
	if all, _ := f.rows(t); all != 0 || f.billing.calls.Load() != 0 {
		t.Error("something was made of a bad registration")
	}
	if status, _, answer := f.ask(t, "POST", "/auth/register", strings.Replace(form("a@b.example"), "Correct-Horse-1", strings.Repeat("x", 72), 1)); status != 201 {
		t.Errorf("72 bytes of password: %d %v", status, answer)
	}
}

func TestLoginAndProfile(t *testing.T) {
	f := start(t, knobs())
	f.register(t, "ada@load.example")
	status, _, answer := f.ask(t, "POST", "/auth/login", `{"email":"Ada@load.example","password":"Correct-Horse-1"}`)
	if status != http.StatusOK || answer["success"] != true {
		t.Fatalf("%d %v", status, answer)
	}
	tokens := answer["tokens"].(map[string]any)
	token := tokens["access_token"].(string)
	expires, err := time.Parse(time.RFC3339, tokens["expires_at"].(string))
	if err != nil || time.Until(expires) < tokenLife/2 || tokens["token_type"] != "Bearer" || len(token) != 64 {
		t.Errorf("tokens %v %v", tokens, err)
	}
	status, _, profile := f.ask(t, "GET", "/users/profile", "", "Authorization", "Bearer "+token)
	if status != http.StatusOK || profile["customer"].(map[string]any)["email"] != "ada@load.example" || profile["created_at"] == nil {
		t.Errorf("profile: %d %v", status, profile)
	}
	var kept int
	if err := f.db.QueryRowContext(t.Context(), `SELECT count(*) FROM tokens WHERE hash = ?`, token).Scan(&kept); err != nil || kept != 0 {
		t.Errorf("the token itself is in the store: %d %v", kept, err)
	}
	if _, err := f.db.ExecContext(t.Context(), `UPDATE tokens SET expires_at = 0`); err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string]string{"expired": "Bearer " + token, "none": "", "another": "Bearer abc", "Basic": "Basic " + token} {
		status, head, _ := f.ask(t, "GET", "/users/profile", "", "Authorization", header)
		if status != http.StatusUnauthorized || head.Get("WWW-Authenticate") == "" {
			t.Errorf("%s token: %d", name, status)
		}
	}
}

func TestLoginRefuses(t *testing.T) {
	f := start(t, knobs())
	f.register(t, "ada@load.example")
	for body, want := range map[string]int{
		`{"email":"ada@load.example","password":"wrong-horse"}`:        401,
		`{"email":"nobody@load.example","password":"Correct-Horse-1"}`: 401,
		`{"email":"ada@load.example","password":""}`:                   422,
		`{"email":"","password":"Correct-Horse-1"}`:                    422,
		`nonsense`: 400,
	} {
		before := f.metric(t, "hashes_total")
		status, _, answer := f.ask(t, "POST", "/auth/login", body)
		if status != want {
			t.Errorf("%s: %d %v, want %d", body, status, answer, want)
		}
		// An address that is not known must cost what a wrong password costs, or it can be told apart.
		if hashed := f.metric(t, "hashes_total") - before; want == 401 && hashed != 1 {
			t.Errorf("%s: %v hashes, want 1", body, hashed)
		}
	}
}

func TestEveryMetricHasItsName(t *testing.T) {
	k := knobs()
	k.Breaker, k.BreakerOpen = 5, time.Minute
	f := start(t, k)
	f.register(t, "ada@load.example")
	_, _, answer := f.ask(t, "GET", "/metrics", "")
	text := answer["raw"].(string)
	for _, want := range []string{
		"go_goroutines ", "process_open_fds ", "process_max_fds ", "process_start_time_seconds ", "process_cpu_seconds_total ",
		`http_requests_total{route="POST /auth/register",status="201"} 1`,
		`http_request_duration_seconds_count{route="POST /auth/register"} 1`, "http_requests_in_progress 0",
		`event_loop_busy_seconds_total{worker="0"}`, `event_loop_wait_seconds_total{worker="3"}`,
		"hash_pool_size 2", "hash_pool_busy 0", "hash_pool_queue 0", "hash_seconds_total ", "hash_wait_seconds_total ", "hashes_total 2",
		`semaphore_limit{downstream="billing"} 10`, `semaphore_in_use{downstream="billing"} 0`, `semaphore_waiting{downstream="billing"} 0`,
		`semaphore_wait_seconds_total{downstream="billing"}`,
		`http_client_connections_open{downstream="billing"} 1`, `http_client_connections_in_use{downstream="billing"} 0`,
		`http_client_connections_idle{downstream="billing"} 1`, `http_client_connections_opened_total{downstream="billing"} 1`,
		`http_client_pool_wait_seconds_total{downstream="billing"}`,
		`http_client_request_duration_seconds_count{downstream="billing"} 1`, `http_client_requests_total{downstream="billing",status="200"} 1`,
		`circuit_breaker_state{downstream="billing"} 0`, `requests_shed_total{reason="admission"} 0`, `requests_shed_total{reason="breaker"} 0`, `requests_shed_total{reason="hash_queue"} 0`,
		"registrations_unsettled 0", `registrations_settled_total{outcome="confirmed"} 0`,
		`go_sql_max_open_connections{db_name="user"} 5`, `go_sql_wait_duration_seconds_total{db_name="user"}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}
