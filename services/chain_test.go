package services

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/captest/captest/services/kit/storetest"
)

// chain is a whole stack in this process, each service under Run.
type chain struct {
	url  map[string]string
	stop map[string]func() error // ends one service and gives what Run returned
	log  *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startChain runs the services in Names' order under a profile with cheap hashes and a fast Kill Bill.
func startChain(t *testing.T, profile string, set map[string]string) *chain {
	t.Helper()
	c := &chain{url: map[string]string{}, stop: map[string]func() error{}, log: &lockedBuffer{}}
	merged := map[string]string{"hash_cost": "4", "kill-bill.service_time": "2ms"}
	for k, v := range set {
		merged[k] = v
	}
	dir, store := t.TempDir(), storetest.URL(t)
	for _, name := range Names() {
		c.start(t, Options{Service: name, Profile: profile, Set: merged, Dir: dir, Store: store, Downstream: c.url})
	}
	return c
}

func (c *chain) start(t *testing.T, o Options) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	listening, ended := make(chan Address, 1), make(chan error, 1)
	o.Log, o.OnListen = c.log, func(a Address) { listening <- a }
	go func() { ended <- Run(ctx, o) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	select {
	case a := <-listening:
		c.url[o.Service], c.stop[o.Service] = a.URL, stop
	case err := <-ended:
		ended <- err
		t.Fatalf("%s: %v", o.Service, err)
	}
}

// ask sends JSON and gives the status, the header and the answer.
func ask(t *testing.T, method, url, body string, header ...string) (int, http.Header, map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	_ = json.Unmarshal(raw, &answer) // not every answer is JSON
	return resp.StatusCode, resp.Header, answer
}

func registration(email string) string {
	return fmt.Sprintf(`{"email":%q,"password":"Correct-Horse-1","first_name":"Load","last_name":"Test","accept_terms":true}`, email)
}

func TestARegistrationPassesTheWholeChainInEveryProfile(t *testing.T) {
	for _, profile := range Profiles() {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			c := startChain(t, profile, nil)
			status, _, answer := ask(t, "POST", c.url["user"]+"/auth/register", registration("a@load.example"))
			if status != http.StatusCreated || answer["success"] != true {
				t.Fatalf("register: %d %v\n%s", status, answer, c.log)
			}
			id := answer["customer"].(map[string]any)["id"].(string)

			status, _, account := ask(t, "GET", c.url["billing"]+"/api/billing/accounts/"+id, "")
			if status != http.StatusOK || account["killbill_account_id"] == "" {
				t.Errorf("account: %d %v", status, account)
			}
			status, _, login := ask(t, "POST", c.url["user"]+"/auth/login", `{"email":"a@load.example","password":"Correct-Horse-1"}`)
			if status != http.StatusOK {
				t.Fatalf("login: %d %v", status, login)
			}
			token := login["tokens"].(map[string]any)["access_token"].(string)
			status, _, profile := ask(t, "GET", c.url["user"]+"/users/profile", "", "Authorization", "Bearer "+token)
			if status != http.StatusOK || profile["customer"].(map[string]any)["email"] != "a@load.example" {
				t.Errorf("profile: %d %v", status, profile)
			}
			status, _, made := ask(t, "POST", c.url["instance"]+"/api/v1/instances/", fmt.Sprintf(`{"name":"one","customer_id":%q}`, id))
			if status != http.StatusCreated {
				t.Errorf("instance: %d %v", status, made)
			}
			status, _, listed := ask(t, "GET", c.url["instance"]+"/api/v1/instances/?customer_id="+id, "")
			if got, _ := listed["instances"].([]any); status != http.StatusOK || len(got) != 1 {
				t.Errorf("instances: %d %v", status, listed)
			}
			if log := c.log.String(); strings.Contains(log, "Correct-Horse") || strings.Contains(log, token) || strings.Contains(log, "lazar") {
				t.Errorf("a secret was logged:\n%s", log)
			}
			for _, name := range []string{"user", "instance", "billing", "kill-bill"} {
				if err := c.stop[name](); err != nil {
					t.Errorf("stop %s: %v", name, err)
				}
			}
		})
	}
}

// scrape gives a service's metrics as text.
func scrape(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
