package services

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/captest/captest/services/kit/storetest"
)

// TestMain lets the test binary be re-executed as one service, as captest re-executes itself.
func TestMain(m *testing.M) {
	if os.Getenv(Env) != "" {
		ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := RunFromEnv(ctx, os.Getenv, os.Stderr)
		cancel()
		if err != nil {
			_, _ = io.WriteString(os.Stderr, "error: "+err.Error()+"\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(storetest.Both(m).Run())
}

// process is one service as a child.
type process struct {
	*exec.Cmd
	url      string
	lifeline *os.File
	log      *lockedBuffer
}

func startProcess(t *testing.T, o Options) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	addressRead, addressWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	lifelineRead, lifelineWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o.AddressFD, o.LifelineFD = 3, 4
	options, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(exe), lifeline: lifelineWrite, log: &lockedBuffer{}}
	p.Env = append(os.Environ(), Env+"="+string(options))
	p.Stderr, p.ExtraFiles = p.log, []*os.File{addressWrite, lifelineRead}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.lifeline.Close()
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	_, _ = addressWrite.Close(), lifelineRead.Close()
	line, err := bufio.NewReader(addressRead).ReadBytes('\n')
	if err != nil {
		t.Fatalf("no address: %v\n%s", err, p.log)
	}
	var a Address
	if err := json.Unmarshal(line, &a); err != nil || a.Service != o.Service {
		t.Fatalf("address %s: %v", line, err)
	}
	_ = addressRead.Close()
	p.url = a.URL
	return p
}

func TestAServiceEndsWithItsParent(t *testing.T) {
	p := startProcess(t, Options{Service: "kill-bill", Profile: "phase2", Dir: t.TempDir(), Store: storetest.URL(t)})
	if status, _, _ := ask(t, "GET", p.url+"/1.0/healthcheck", ""); status != http.StatusOK {
		t.Errorf("healthcheck: %d", status)
	}
	_ = p.lifeline.Close()
	if err := p.Wait(); err != nil {
		t.Errorf("the service ended with %v\n%s", err, p.log)
	}
}

func TestDescriptorLimitAndKnobsOfAProcess(t *testing.T) {
	billing := httptest.NewServer(http.NotFoundHandler())
	defer billing.Close()
	p := startProcess(t, Options{
		Service: "user", Profile: "before", Dir: t.TempDir(), Store: storetest.URL(t), Downstream: map[string]string{"billing": billing.URL},
		Set: map[string]string{"nofile": "128", "hash_cost": "4"},
	})
	resp, err := http.Get(p.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || !strings.Contains(string(text), "process_max_fds 128\n") {
		t.Errorf("the limit is not 128 (%v)", err)
	}
	var line struct{ Msg, Service, Profile, Workers, Hash, Nofile string }
	first, _, _ := strings.Cut(p.log.String(), "\n")
	if err := json.Unmarshal([]byte(first), &line); err != nil || line.Msg != "knobs" || line.Profile != "before" ||
		line.Workers != "1" || line.Hash != "loop" || line.Nofile != "128" {
		t.Errorf("first line of the log: %s", first)
	}
}

func TestARegistrationThatTheProcessDidNotSurviveLeavesNothing(t *testing.T) {
	var held, closed atomic.Bool
	held.Store(true)
	asked := make(chan struct{}, 1)
	billing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusAccepted)
			closed.Store(true)
		case held.Load():
			_, _ = io.Copy(io.Discard, r.Body)
			asked <- struct{}{}
			<-r.Context().Done()
		default:
			_, _ = io.WriteString(w, `{"success":true}`)
		}
	}))
	defer billing.Close()
	o := Options{
		Service: "user", Profile: "phase2", Dir: t.TempDir(), Store: storetest.URL(t), Downstream: map[string]string{"billing": billing.URL},
		Set: map[string]string{"hash_cost": "4", "settle_after": "100ms"},
	}
	p := startProcess(t, o)
	failed := make(chan error, 1)
	go func() {
		resp, err := http.Post(p.url+"/auth/register", "application/json", strings.NewReader(registration("a@load.example")))
		if err == nil {
			_ = resp.Body.Close()
		}
		failed <- err
	}()
	<-asked // the customer is in the store, its account is not
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil {
		t.Error("a killed service answered")
	}
	_ = p.Wait()
	held.Store(false)
	p = startProcess(t, o)
	eventually(t, "billing told to close the account", closed.Load)
	if status, _, answer := ask(t, "POST", p.url+"/auth/register", registration("a@load.example")); status != http.StatusCreated {
		t.Errorf("after the restart the address is not free: %d %v\n%s", status, answer, p.log)
	}
}

func TestWhatWasAnsweredSurvivesAKill(t *testing.T) {
	billing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"success":true}`) }))
	defer billing.Close()
	o := Options{
		Service: "user", Profile: "phase2", Dir: t.TempDir(), Store: storetest.URL(t), Downstream: map[string]string{"billing": billing.URL},
		Set: map[string]string{"hash_cost": "4"},
	}
	p := startProcess(t, o)
	for i := range 3 { // a few restarts, each registering one more
		email := string(rune('a'+i)) + "@load.example"
		if status, _, answer := ask(t, "POST", p.url+"/auth/register", registration(email)); status != http.StatusCreated {
			t.Fatalf("%s: %d %v\n%s", email, status, answer, p.log)
		}
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.Wait()
		p = startProcess(t, o)
		for j := range i + 1 {
			login := `{"email":"` + string(rune('a'+j)) + `@load.example","password":"Correct-Horse-1"}`
			if status, _, answer := ask(t, "POST", p.url+"/auth/login", login); status != http.StatusOK {
				t.Errorf("after kill %d, login %d: %d %v\n%s", i, j, status, answer, p.log)
			}
		}
	}
}

func TestRunRefusesWhatItCannotRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, o := range map[string]Options{
		"no such service":  {Service: "usr", Profile: "before", Dir: t.TempDir()},
		"no such profile":  {Service: "kill-bill", Profile: "phase9", Dir: t.TempDir()},
		"no such knob":     {Service: "kill-bill", Profile: "before", Set: map[string]string{"slot": "1"}, Dir: t.TempDir()},
		"no downstream":    {Service: "user", Profile: "before", Dir: t.TempDir()},
		"a bad downstream": {Service: "user", Profile: "before", Dir: t.TempDir(), Downstream: map[string]string{"billing": "ftp://x"}},
		"no directory":     {Service: "billing", Profile: "before", Downstream: map[string]string{"kill-bill": "http://127.0.0.1:1"}},
		"a bad address":    {Service: "kill-bill", Profile: "before", Dir: t.TempDir(), Listen: "127.0.0.1:99999"},
		"a bad store":      {Service: "kill-bill", Profile: "before", Dir: t.TempDir(), Store: "mysql://host/db"},
		"a closed address": {Service: "kill-bill", Profile: "before", Dir: t.TempDir(), AddressFD: 999},
	} {
		if err := Run(ctx, o); err == nil || ctx.Err() != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := RunFromEnv(ctx, func(string) string { return "not JSON" }, io.Discard); err == nil {
		t.Error("options that are not JSON were accepted")
	}
}
