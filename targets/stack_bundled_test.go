//go:build unix

package targets

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/captest/captest/services/kit/storetest"
)

// TestBundledStackRegistersACustomer goes the whole chain with the services as they are shipped.
func TestBundledStackRegistersACustomer(t *testing.T) {
	for _, x := range []struct {
		profile string
		store   func(testing.TB) string
	}{{"before", nil}, {"phase3", nil}, {"phase2", storetest.Database}} {
		profile, store, name := x.profile, "", x.profile
		if x.store != nil {
			name += " on PostgreSQL"
		}
		t.Run(name, func(t *testing.T) {
			if testing.Short() && profile != "before" {
				t.Skip("one profile is enough")
			}
			if x.store != nil {
				store = x.store(t)
			}
			seen := &events{}
			s := mustStart(t, StackConfig{
				Profile: profile, Set: map[string]string{"hash_cost": "4"}, Store: store, Dir: filepath.Join(t.TempDir(), "services"),
				ReadyTimeout: patience, StopTimeout: patience, OnEvent: seen.add,
			})
			pids, target := s.PIDs(), s.Target()

			register := func(email string) int {
				body, _ := json.Marshal(map[string]any{
					"email": email, "password": "Correct-Horse-1", "first_name": "Load", "last_name": "Test", "accept_terms": true,
				})
				status, answer := call(t, http.MethodPost, urlOf(t, s, "user")+"/auth/register", body)
				var said struct {
					Success  bool
					Customer struct{ ID any }
				}
				if err := json.Unmarshal(answer, &said); status == http.StatusCreated && (err != nil || !said.Success || said.Customer.ID == nil) {
					t.Errorf("register: %v: %s", err, answer)
				}
				return status
			}
			if status := register("one@load.example"); status != http.StatusCreated {
				t.Fatalf("register: %d", status)
			}
			if status := register("one@load.example"); status != http.StatusConflict {
				t.Errorf("register again: %d", status)
			}
			for _, service := range target.Services {
				for _, path := range []string{service.Health, service.Metrics, "/ready"} {
					status, text := call(t, http.MethodGet, service.URL+path, nil)
					if status != http.StatusOK {
						t.Errorf("%s: GET %s: %d %s", service.Name, path, status, text)
					}
					if path == service.Metrics && len(text) == 0 {
						t.Errorf("%s: no metrics", service.Name)
					}
				}
			}

			// Each back at its address, the chain works on and what was stored is still there.
			for _, service := range []string{"billing", "user"} {
				if err := s.Restart(t.Context(), service); err != nil {
					t.Fatal(err)
				}
			}
			if status := register("one@load.example"); status != http.StatusConflict {
				t.Errorf("register after the restart: %d", status)
			}
			if status := register("two@load.example"); status != http.StatusCreated {
				t.Errorf("register another after the restart: %d", status)
			}

			for service, pid := range s.PIDs() {
				pids[service+" now"] = pid
			}
			mustStop(t, s)
			for service, pid := range pids {
				if running(pid) {
					t.Errorf("%s: pid %d is left", service, pid)
				}
			}
			for _, e := range seen.all() {
				if e.State == "exited" || strings.Contains(e.Detail, "did not stop") || e.State == "stopped" && e.Detail != "exit status 0" {
					t.Errorf("told %+v", e)
				}
			}
		})
	}
}

func TestStackOfAProgramThatIsNotCaptest(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /bin/true")
	}
	_, err := StartStack(t.Context(), StackConfig{Profile: "before", Dir: t.TempDir(), Exe: "/bin/true", ReadyTimeout: patience})
	if err == nil || !strings.Contains(err.Error(), "kill-bill: exited before it was listening: exit status 0") {
		t.Errorf("error is %v", err)
	}
}

func call(t *testing.T, method, at string, body []byte) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, at, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, text
}
