package killbill

import (
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
)

// postProfiled creates an account and returns the status and the profile.
func postProfiled(t *testing.T, s *Server, features string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/1.0/kb/accounts", strings.NewReader(`{}`))
	r.Header = credentials(map[string]string{headerProfileRequest: features})
	s.Handler().ServeHTTP(w, r)
	return w.Code, w.Header().Get(headerProfileResponse)
}

func TestRestartKeepsEverything(t *testing.T) {
	c := quick(t)
	first, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := post(t.Context(), first, "/1.0/kb/accounts", `{"externalKey":"k","name":"Ann"}`); status != 201 {
		t.Fatal(status, body)
	}
	kept, err := first.store.accountByKey(t.Context(), tenantID(t, first), "k")
	if err != nil {
		t.Fatal(err)
	}
	if status, body := post(t.Context(), first, "/1.0/kb/accounts/"+kept.AccountID+"/tags", `["`+autoPayOff+`"]`); status != 201 {
		t.Fatal(status, body)
	}
	// The second one opens the file while the first has not closed it, as after a kill.
	c.APISecret = "changed"
	second := serveSite(t, c)
	changed := map[string]string{headerAPISecret: "changed"}
	a := second.ask("GET", "/1.0/kb/accounts?externalKey=k", "", changed)
	if a.status != 200 || a.object(t)["name"] != "Ann" || a.object(t)["accountId"] != kept.AccountID {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := second.ask("POST", "/1.0/kb/accounts", `{"externalKey":"k"}`, changed); a.status != 409 {
		t.Errorf("duplicate after restart: %d", a.status)
	}
	if a := second.ask("GET", "/1.0/kb/accounts/"+kept.AccountID+"/tags", "", changed); !strings.Contains(a.body, "AUTO_PAY_OFF") {
		t.Errorf("tags after restart: %s", a.body)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestConcurrentCreationsOfOneKeyMakeOneAccount(t *testing.T) {
	s := serveSite(t, quick(t))
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for n := range 5 {
				a := s.ask("POST", "/1.0/kb/accounts", fmt.Sprintf(`{"externalKey":"k%d"}`, n), nil)
				s.ask("GET", fmt.Sprintf("/1.0/kb/accounts?externalKey=k%d", n), "", nil)
				if i == 0 {
					s.ask("GET", "/1.0/metrics", "", nil)
				}
				mu.Lock()
				statuses[a.status]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if statuses[201] != 5 || statuses[409] != 95 {
		t.Errorf("%v, want five creations and 95 conflicts", statuses)
	}
}

func TestNewRefusesBadSettings(t *testing.T) {
	dir := t.TempDir()
	file := dir + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for about, c := range map[string]Config{
		"dir":             {},
		"model":           {Dir: dir, Model: "magic"},
		"slots":           {Dir: dir, Slots: -1},
		"cv":              {Dir: dir, CV: -1},
		"not a directory": {Dir: file},
	} {
		if s, err := New(c); err == nil || !strings.Contains(err.Error(), about) {
			t.Errorf("%+v: %v, want an error about %s", c, err, about)
			if s != nil {
				_ = s.Close()
			}
		}
	}
}
