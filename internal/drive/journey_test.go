package drive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
	"github.com/google/go-cmp/cmp"
)

// heard keeps what reached the stub.
type heard struct {
	mu   sync.Mutex
	list []string
}

func (h *heard) note(format string, a ...any) {
	h.mu.Lock()
	h.list = append(h.list, fmt.Sprintf(format, a...))
	h.mu.Unlock()
}

// scenario parses a scenario file.
func scenario(t testing.TB, file string) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Parse("test.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestValuesFlowThroughAJourney(t *testing.T) {
	var h heard
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth/register", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Email, Password string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		h.note("register %s %s %s", in.Email, in.Password, r.Header.Get("Content-Type"))
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "of-" + in.Password, Path: "/"})
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"success":true,"customer":{"id":"c/`+in.Password+`"}}`)
	})
	mux.HandleFunc("/customers/", func(_ http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("sid")
		if err != nil {
			t.Error(err)
			return
		}
		user, password, _ := r.BasicAuth()
		body, _ := io.ReadAll(r.Body)
		h.note("%s %s cookie %s as %s:%s agent %s run %s form %s", r.Method, r.URL.RequestURI(), c.Value, user, password, r.UserAgent(), r.Header.Get("X-Run"), body)
	})
	s := scenario(t, `
name: flow
data:
  email: "u{{unique}}@load.example"
  greeting: "hi {{email}}"
steps:
  - name: register
    request:
      method: POST
      path: /auth/register
      json: {email: "{{email}}", password: "p{{n}}"}
    expect: {status: 201, json: {success: true}}
    capture: {customer: json.customer.id}
  - name: read
    request:
      method: PUT
      path: "/customers/{{customer}}?q={{greeting}}"
      basic: {user: "{{user}}", password: '{{env "PW"}}'}
      headers: {X-Run: "run {{n}}"}
      form: {a: "{{greeting}}", b: "x&y"}
`)
	id := NewIdentity(9, "flow", nil)
	_, sums := journeys(t, Config{
		Scenario: s, Target: onReal(t, mux), Identity: id,
		Env: func(name string) string { return "secret-" + name }, Headers: map[string]string{"X-Run": "overruled", "X-All": "1"},
	}, 2)
	if sums.OK != 4 || sums.Steps["register"].OK != 2 || sums.Steps["read"].OK != 2 {
		t.Fatalf("good: %d, by step %v; errors %v", sums.OK, sums.Steps, sums.Errors)
	}
	var want []string
	for n := range 2 {
		mail := fmt.Sprintf("u%s-%d@load.example", id.Token(), n)
		want = append(want,
			fmt.Sprintf("register %s p%d application/json", mail, n),
			fmt.Sprintf("PUT /customers/c/p%d?q=hi%%20%s cookie of-p%d as 0:secret-PW agent captest run run %d form a=hi+%s&b=x%%26y",
				n, strings.ReplaceAll(mail, "@", "%40"), n, n, strings.ReplaceAll(mail, "@", "%40")))
	}
	if d := cmp.Diff(want, h.list); d != "" {
		t.Errorf("what arrived differs (-want +got):\n%s", d)
	}
}

// 201 with success:false is no success: the incident's services answer so, and its own script counted them as good.
func TestARightStatusWithAWrongBodyIsACheckFailureAndEndsTheJourney(t *testing.T) {
	second := false
	mux := http.NewServeMux()
	mux.HandleFunc("/first", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"success":false}`)
	})
	mux.HandleFunc("/second", func(http.ResponseWriter, *http.Request) { second = true })
	s := scenario(t, `
name: checks
steps:
  - {name: first, request: {method: POST, path: /first}, expect: {status: 201, json: {success: true}}}
  - {name: second, request: {path: /second}}
`)
	tally, sums := journeys(t, Config{Scenario: s, Target: onReal(t, mux)}, 3)
	if sums.Errors["check"] != 3 || tally.Failed != 3 || tally.Journeys != 3 || second {
		t.Errorf("%+v, errors %v, second step sent: %v; want 3 check failures and no second step", tally, sums.Errors, second)
	}
}

func TestAMissingCaptureFailsTheStep(t *testing.T) {
	s := scenario(t, `
name: capture
steps:
  - {name: first, request: {path: /}, capture: {id: json.id}}
  - {name: second, request: {path: "/{{id}}"}}
`)
	h := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{}`) }
	tally, sums := journeys(t, Config{Scenario: s, Target: onReal(t, http.HandlerFunc(h))}, 2)
	if sums.Errors["check"] != 2 || tally.Failed != 2 || sums.Steps["second"].N != 0 {
		t.Errorf("%+v, errors %v", tally, sums.Errors)
	}
}

func TestTheSameSeedSendsTheSameData(t *testing.T) {
	s := scenario(t, `
name: random
data: {pick: "{{random 1000000}}", hex: "{{random.hex 8}}"}
steps:
  - {name: one, request: {path: "/{{unique}}/{{pick}}/{{hex}}/{{random 1000}}"}}
`)
	sent := func(seed uint64, users int) []string {
		var h heard
		note := func(_ http.ResponseWriter, r *http.Request) { h.note("%s", r.URL.Path) }
		e := engine(t, Config{Scenario: s, Target: onReal(t, http.HandlerFunc(note)), Identity: NewIdentity(seed, "random", nil)})
		drive(t, t.Context(), e, Load{Users: users, Total: 30}, recorder(s))
		slices.Sort(h.list)
		return h.list
	}
	alone, crowd, other := sent(4, 1), sent(4, 6), sent(5, 1)
	if d := cmp.Diff(alone, crowd); d != "" {
		t.Errorf("one user and six send different data for one seed:\n%s", d)
	}
	for _, path := range other {
		if slices.Contains(alone, path) {
			t.Errorf("seeds 4 and 5 both sent %s", path)
		}
	}
}

func TestRowsAreTakenInTurn(t *testing.T) {
	var h heard
	note := func(_ http.ResponseWriter, r *http.Request) { h.note("%s", r.URL.Path) }
	s := get("/")
	s.Steps[0].Request.Path = text(t, "/{{row.name}}")
	var err error
	if s.Table, err = scenarios.ParseRows("r.csv", []byte("name\nann\nbob\n")); err != nil {
		t.Fatal(err)
	}
	journeys(t, Config{Scenario: s, Target: onReal(t, http.HandlerFunc(note))}, 3)
	if d := cmp.Diff([]string{"/ann", "/bob", "/ann"}, h.list); d != "" {
		t.Error(d)
	}
}

func TestOneAlternativeIsTakenInProportionToItsWeight(t *testing.T) {
	s := scenario(t, `
name: mix
steps:
  - {name: before, request: {path: /before}}
  - {name: often, weight: 3, request: {path: /often}}
  - {name: seldom, weight: 1, request: {path: /seldom}}
  - {name: after, request: {path: /after}}
`)
	_, sums := journeys(t, Config{Scenario: s, Target: onReal(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))}, 400)
	often, seldom := sums.Steps["often"].N, sums.Steps["seldom"].N
	if sums.Steps["before"].N != 400 || sums.Steps["after"].N != 400 || often+seldom != 400 {
		t.Errorf("steps %v; want before and after each time, and one of the others", sums.Steps)
	}
	// 300 expected, standard deviation √(400·¾·¼) = 8.7; the seed is fixed.
	if often < 265 || often > 335 {
		t.Errorf("weight 3 of 4 was taken %d of 400 times", often)
	}
}

func TestSetupRunsOnceForEachUserOutsideTheMeasurement(t *testing.T) {
	var mu sync.Mutex
	logins, seen, failing := 0, map[string]int{}, 2
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if failing > 0 {
			failing--
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		logins++
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: fmt.Sprint(logins)})
		_, _ = fmt.Fprintf(w, `{"token":"t%d"}`, logins)
	})
	mux.HandleFunc("/task/{token}", func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		c, err := r.Cookie("sid")
		if err != nil || "t"+c.Value != r.PathValue("token") {
			t.Errorf("token %s with cookie %v", r.PathValue("token"), c)
		}
		seen[r.PathValue("token")]++
	})
	s := scenario(t, `
name: setup
setup:
  - {name: login, request: {path: /login}, capture: {token: json.token}}
steps:
  - {name: work, request: {path: "/task/{{token}}"}}
`)
	e := engine(t, Config{Scenario: s, Target: onReal(t, mux)})
	tally, sums := drive(t, t.Context(), e, Load{Users: 3, Total: 30}, recorder(s))
	// Two logins failed: so did the journeys they were for.
	if tally.Journeys != 30 || tally.Failed != 2 || sums.Steps["work"].N != 30 || sums.Errors["status"] != 2 || sums.OK != 28 {
		t.Errorf("%+v, errors %v, good %d; want 30 journeys, 2 of which could not start", tally, sums.Errors, sums.OK)
	}
	tally, _ = drive(t, t.Context(), e, Load{Plan: fixed(t, 100, 100*time.Millisecond)}, recorder(s))
	if tally.Failed != 0 || logins > 13 {
		t.Errorf("%+v after %d logins", tally, logins)
	}
	if len(seen) != logins {
		t.Errorf("%d logins, used by %d users", logins, len(seen))
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	followed := false
	mux := http.NewServeMux()
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/there", http.StatusFound) })
	mux.HandleFunc("/there", func(http.ResponseWriter, *http.Request) { followed = true })
	s := get("/away")
	_, sums := journeys(t, Config{Scenario: s, Target: onReal(t, mux)}, 1)
	if followed || sums.Errors["status"] != 1 {
		t.Errorf("followed: %v, errors %v", followed, sums.Errors)
	}
	s.Steps[0].Expect.Status = []int{302}
	if _, sums := journeys(t, Config{Scenario: s, Target: onReal(t, mux)}, 1); sums.OK != 1 {
		t.Errorf("an expected 302 is an error: %v", sums.Errors)
	}
}

// A captured value that begins where the path should must not become part of host and port.
func TestAPathCannotLeaveItsService(t *testing.T) {
	var h heard
	note := func(_ http.ResponseWriter, r *http.Request) { h.note("%s", r.URL.Path) }
	s := get("/")
	s.Data = []scenarios.Field{{Name: "where", Value: scenarios.Literal("@192.0.2.1/x")}}
	s.Steps[0].Request.Path = text(t, "{{where}}")
	_, sums := journeys(t, Config{Scenario: s, Target: onReal(t, http.HandlerFunc(note))}, 1)
	if sums.OK != 1 || len(h.list) != 1 || h.list[0] != "/@192.0.2.1/x" {
		t.Errorf("arrived: %q, errors %v", h.list, sums.Errors)
	}
}

func TestAScenarioThatDoesNotFitIsRefusedBeforeAnythingIsSent(t *testing.T) {
	elsewhere := get("/")
	elsewhere.Steps[0].Service = "biling"
	env := get("/")
	env.Steps[0].Request.Headers = []scenarios.Field{{Name: "X", Value: text(t, `{{env "MISSING"}}`)}}
	one := target("http://127.0.0.1:1")
	id := NewIdentity(1, "s", nil)
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"unknown service":  {Config{Scenario: elsewhere, Target: one, Identity: id}, `no service "biling"`},
		"missing variable": {Config{Scenario: env, Target: one, Identity: id}, "MISSING is not set"},
		"no URL":           {Config{Scenario: get("/"), Target: target(""), Identity: id}, "no http or https URL"},
		"not HTTP":         {Config{Scenario: get("/"), Target: target("ftp://127.0.0.1"), Identity: id}, "no http or https URL"},
		"no steps":         {Config{Scenario: &scenarios.Scenario{Name: "x"}, Target: one, Identity: id}, "has no steps"},
		"no scenario":      {Config{Target: one, Identity: id}, "no scenario"},
		"no target":        {Config{Scenario: get("/"), Identity: id}, "no target"},
		"no identity":      {Config{Scenario: get("/"), Target: one}, "no identity"},
	} {
		_, err := NewHTTP(c.config)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestAStepThatCannotBeSentEndsTheLoad(t *testing.T) {
	s := get("/")
	s.Steps[0].Request.Path = text(t, "/{{nowhere}}")
	e := engine(t, Config{Scenario: s, Target: target("http://127.0.0.1:1")})
	_, err := e.Drive(t.Context(), Load{Users: 2, For: time.Minute}, recorder(s))
	var step *StepError
	if !errors.As(err, &step) || step.Step != "get" || step.Hint() == "" {
		t.Errorf("got %v, want a StepError with a hint", err)
	}
}

func TestEachStepGoesToItsService(t *testing.T) {
	var h heard
	note := func(name string) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { h.note("%s %s", name, r.URL.Path) })
	}
	a, b := onReal(t, note("a")), onReal(t, note("b"))
	both := &targets.Target{Name: "both", Entry: "a", Services: []targets.Service{
		{Name: "a", URL: a.Services[0].URL + "/prefix/"}, {Name: "b", URL: b.Services[0].URL},
	}}
	s := scenario(t, `
name: two
steps:
  - {name: one, request: {path: /x}}
  - {name: two, service: b, request: {path: "/y{{n}}"}}
`)
	journeys(t, Config{Scenario: s, Target: both}, 1)
	if d := cmp.Diff([]string{"a /prefix/x", "b /y0"}, h.list); d != "" {
		t.Error(d)
	}
}

var _ Engine = (*HTTP)(nil)
