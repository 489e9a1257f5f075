package scenarios

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBuiltinsLoad(t *testing.T) {
	want := []string{"killbill-direct", "login", "registration", "signup"}
	if diff := cmp.Diff(want, Builtins()); diff != "" {
		t.Fatalf("Builtins (-want +got):\n%s", diff)
	}
	for _, name := range want {
		t.Run(name, func(t *testing.T) {
			s, err := Load(name)
			if err != nil {
				t.Fatal(err)
			}
			if s.Name != name {
				t.Errorf("name = %q, want the file's %q", s.Name, name)
			}
			if s.Description == "" || len(s.Limits) == 0 {
				t.Error("a built-in scenario is an example: it needs a description and limits")
			}
			if err := s.Check(func(string) string { return "" }); err != nil {
				t.Errorf("must run with an empty environment: %v", err)
			}
		})
	}
}

func TestRegistrationIsTheDesign(t *testing.T) {
	s, err := Load("registration")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Steps) != 1 {
		t.Fatalf("%d steps, want 1", len(s.Steps))
	}
	step := s.Steps[0]
	if step.Name != "register" || step.Request.Method != "POST" || step.Request.Path.String() != "/auth/register" {
		t.Errorf("step = %s %s %s", step.Name, step.Request.Method, step.Request.Path)
	}
	v := &Values{N: 7, Vars: map[string]string{"email": "u1@load.example"}}
	body, err := step.Request.JSON.Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"email":"u1@load.example","password":"Correct-Horse-7","first_name":"Load","last_name":"Test","accept_terms":true}`
	if string(body) != want {
		t.Errorf("body\n got %s\nwant %s", body, want)
	}
	limits := []Limit{
		{Expr: "register.p95<1s", Step: "register", Metric: "p95", Quantile: 95, Op: "<", Value: 1000, Unit: "ms"},
		{Expr: "errors<1%", Metric: "errors", Op: "<", Value: 1, Unit: "%"},
	}
	if diff := cmp.Diff(limits, s.Limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	if s.Baseline != "killbill" || s.Load != nil {
		t.Errorf("baseline %q, load %v", s.Baseline, s.Load)
	}
}

func TestSignupCarriesValuesAlong(t *testing.T) {
	s, err := Load("signup")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, step := range s.Steps {
		names = append(names, step.Name+"@"+step.Service)
	}
	if got := strings.Join(names, " "); got != "register@ login@ profile@ create-instance@instance" {
		t.Errorf("steps: %s", got)
	}
	token, err := take(&s.Steps[1].Capture[0], nil, ParseBody([]byte(`{"success":true,"tokens":{"access_token":"tok"}}`)))
	if err != nil || token != "tok" {
		t.Fatalf("token = %q, %v", token, err)
	}
	h := s.Steps[2].Request.Headers[0]
	got, err := h.Value.Append(nil, &Values{Vars: map[string]string{"token": token}})
	if err != nil || h.Name != "Authorization" || string(got) != "Bearer tok" {
		t.Errorf("%s: %s, %v", h.Name, got, err)
	}
}

func TestKillbillDirectTakesSecretsFromTheEnvironment(t *testing.T) {
	s, err := Load("killbill-direct")
	if err != nil {
		t.Fatal(err)
	}
	if !s.UsesEnv() {
		t.Error("UsesEnv = false")
	}
	basic := s.Steps[0].Request.Basic
	env := func(name string) string { return map[string]string{"KILLBILL_PASSWORD": "hunter2"}[name] }
	user, err1 := basic.User.Append(nil, &Values{Env: env})
	password, err2 := basic.Password.Append(nil, &Values{Env: env})
	if string(user) != "admin" || string(password) != "hunter2" || err1 != nil || err2 != nil {
		t.Errorf("basic = %s:%s (%v, %v)", user, password, err1, err2)
	}
	if DefaultTimeout != 30*time.Second {
		t.Errorf("DefaultTimeout = %v", DefaultTimeout)
	}
}
