package killbill

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/captest/captest/services/kit/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.Both(m)) }

// quick is a configuration whose service time does not slow tests of the wire down.
func quick(t *testing.T) Config {
	return Config{Dir: t.TempDir(), Store: storetest.URL(t), ServiceTime: time.Microsecond}
}

// site is a stand-in behind a real HTTP server.
type site struct {
	*Server
	url    string
	client *http.Client
	t      *testing.T
}

func serveSite(t *testing.T, c Config) *site {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		h.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &site{Server: s, url: h.URL, client: h.Client(), t: t}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("%d %q: %v", a.status, a.body, err)
	}
	return m
}

// credentials are the headers of a well-made call; "-" in change removes one.
func credentials(change map[string]string) http.Header {
	h := http.Header{}
	r := http.Request{Header: h}
	r.SetBasicAuth("admin", "password")
	h.Set(headerAPIKey, "bob")
	h.Set(headerAPISecret, "lazar")
	h.Set(headerCreatedBy, "test")
	h.Set("Content-Type", "application/json")
	for k, v := range change {
		if v == "-" {
			h.Del(k)
		} else {
			h.Set(k, v)
		}
	}
	return h
}

func (s *site) ask(method, path, body string, change map[string]string) answer {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = credentials(change)
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// create makes an account and returns its path.
func (s *site) create(body string) string {
	s.t.Helper()
	a := s.ask("POST", "/1.0/kb/accounts", body, nil)
	if a.status != http.StatusCreated {
		s.t.Fatalf("create %s = %d %s", body, a.status, a.body)
	}
	path, ok := strings.CutPrefix(a.header.Get("Location"), s.url)
	if !ok || !strings.HasPrefix(path, "/1.0/kb/accounts/") {
		s.t.Fatalf("Location %q is not absolute under %s", a.header.Get("Location"), s.url)
	}
	return path
}
