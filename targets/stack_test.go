//go:build unix

package targets

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// patience bounds waits that normally take milliseconds: the machine may be slow.
const patience = 30 * time.Second

// events collects what a stack tells.
type events struct {
	mu   sync.Mutex
	list []StackEvent
}

func (e *events) add(x StackEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, x)
}

func (e *events) all() []StackEvent {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

// brief is "service state" of each event.
func (e *events) brief() []string {
	var out []string
	for _, x := range e.all() {
		out = append(out, x.Service+" "+x.State)
	}
	return out
}

// find waits for an event.
func (e *events) find(t *testing.T, service, state string) StackEvent {
	t.Helper()
	var found StackEvent
	eventually(t, service+" "+state, func() bool {
		for _, x := range e.all() {
			if x.Service == service && x.State == state {
				found = x
				return true
			}
		}
		return false
	})
	return found
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// fakes is a stack of fake services; Only and such may be changed before it is started.
func fakes(t *testing.T, behaviours ...string) (StackConfig, *events) {
	t.Helper()
	seen := &events{}
	return StackConfig{
		Profile: "before", Dir: filepath.Join(t.TempDir(), "services"), ReadyTimeout: patience, StopTimeout: patience,
		Args: append([]string{"fake-service"}, behaviours...), OnEvent: seen.add,
	}, seen
}

func mustStart(t *testing.T, c StackConfig) *Stack {
	t.Helper()
	s, err := StartStack(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func mustStop(t *testing.T, s *Stack) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, base string) self {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Get(base + "/self")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var me self
	if err := json.NewDecoder(response.Body).Decode(&me); err != nil {
		t.Fatal(err)
	}
	return me
}

func urlOf(t *testing.T, s *Stack, service string) string {
	t.Helper()
	found, ok := s.Target().Find(service)
	if !ok {
		t.Fatalf("%s is not in the target", service)
	}
	return found.URL
}

func running(pid int) bool {
	if text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat")); err == nil {
		// "pid (name) state …": a zombie that nobody reaps has ended.
		_, rest, _ := strings.Cut(string(text), ") ")
		return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
	}
	return runtime.GOOS != "linux" && syscall.Kill(pid, 0) == nil
}

func readLog(t *testing.T, s *Stack, service string) string {
	t.Helper()
	text, err := os.ReadFile(s.Logs()[service])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestStackRunsFromStartToStop(t *testing.T) {
	t.Setenv("SECRET_OF_A_SCENARIO", "x")
	t.Setenv("GOMAXPROCS", "1")
	t.Setenv("KILLBILL_PASSWORD", "p")
	c, seen := fakes(t, "*:slow")
	c.Set = map[string]string{"hash_cost": "4"}
	s := mustStart(t, c)

	target := s.Target()
	if target.Name != "reference" || target.Entry != "user" || !target.Bundled || target.Profile != "before" || target.Set["hash_cost"] != "4" {
		t.Errorf("target is %+v", target)
	}
	var names []string
	for _, service := range target.Services {
		names = append(names, service.Name+" "+service.Kind+" "+service.Health+" "+service.Metrics)
	}
	if diff := cmp.Diff([]string{
		"user  /health /metrics", "instance  /health /metrics", "billing  /health /metrics",
		"kill-bill kill-bill /1.0/healthcheck /1.0/metrics",
	}, names); diff != "" {
		t.Error(diff)
	}

	placed := s.Place(&Target{Name: "mine", Entry: "instance", OverloadUsers: 7, Services: []Service{{Name: "instance"}}})
	if placed.Name != "mine" || placed.Entry != "instance" || placed.OverloadUsers != 7 || !cmp.Equal(placed.Services, target.Services) {
		t.Errorf("placed target is %+v", placed)
	}

	pids := s.PIDs()
	downstream := map[string]map[string]string{
		"user":      {"billing": urlOf(t, s, "billing")},
		"instance":  {"billing": urlOf(t, s, "billing")},
		"billing":   {"kill-bill": urlOf(t, s, "kill-bill")},
		"kill-bill": {},
	}
	for service, calls := range downstream {
		me := ask(t, urlOf(t, s, service))
		if me.PID != pids[service] || me.Options.Service != service {
			t.Errorf("%s: pid %d answers as %q, want pid %d", service, me.PID, me.Options.Service, pids[service])
		}
		if me.PGID != me.PID {
			t.Errorf("%s: process group %d of pid %d: Ctrl-C would reach it", service, me.PGID, me.PID)
		}
		if !me.StdinEnds {
			t.Errorf("%s: its standard input has no end", service)
		}
		if runtime.GOOS == "linux" && me.DeathSig != int(syscall.SIGKILL) {
			t.Errorf("%s: parent-death signal %d", service, me.DeathSig)
		}
		if me.Dir != c.Dir || me.Options.Dir != c.Dir || me.Options.Profile != "before" || me.Options.Set["hash_cost"] != "4" {
			t.Errorf("%s: in %s with %+v", service, me.Dir, me.Options)
		}
		if diff := cmp.Diff(calls, me.Options.Downstream, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: downstream: %s", service, diff)
		}
		for _, v := range me.Env {
			if name, _, _ := strings.Cut(v, "="); name == "KILLBILL_PASSWORD" {
				if service != "billing" && service != "kill-bill" {
					t.Errorf("%s: knows Kill Bill's password", service)
				}
			} else if !slices.Contains([]string{
				"CAPTEST_SERVICE", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GODEBUG", "GOTRACEBACK", "GORACE", "GOCOVERDIR", "TZ", "TMPDIR", "PWD",
			}, name) {
				t.Errorf("%s: inherits %s", service, v)
			}
		}
		if !slices.Contains(me.Env, "GOMAXPROCS=1") {
			t.Errorf("%s: GOMAXPROCS got lost", service)
		}
		if service == "billing" && !slices.Contains(me.Env, "KILLBILL_PASSWORD=p") {
			t.Errorf("%s: Kill Bill's password got lost", service)
		}
	}

	mustStop(t, s)
	for service, pid := range pids {
		if running(pid) {
			t.Errorf("%s: pid %d outlives Stop", service, pid)
		}
		if log := readLog(t, s, service); !strings.Contains(log, "fake "+service+" begins\n") ||
			!strings.Contains(log, "fake "+service+" got terminated\n") || !strings.HasSuffix(log, "exit status 0\n") {
			t.Errorf("%s: log is %q", service, log)
		}
		if info, err := os.Stat(s.Logs()[service]); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: log: %v, %v", service, info.Mode(), err)
		}
	}
	if left := s.PIDs(); len(left) != 0 {
		t.Errorf("PIDs gives %v after Stop", left)
	}
	if diff := cmp.Diff([]string{
		"kill-bill started", "kill-bill ready", "billing started", "billing ready",
		"instance started", "instance ready", "user started", "user ready",
		"user stopped", "instance stopped", "billing stopped", "kill-bill stopped",
	}, seen.brief()); diff != "" {
		t.Error(diff)
	}
	for _, x := range seen.all() {
		if x.PID != pids[x.Service] {
			t.Errorf("event %+v: pid should be %d", x, pids[x.Service])
		}
		if want := urlOf(t, s, x.Service); x.State == "ready" && x.Detail != want {
			t.Errorf("event %+v: detail should be %s", x, want)
		}
	}
}

func TestStackLeavesNoDescriptors(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts /proc/self/fd")
	}
	count := func() int {
		c, _ := fakes(t, "billing:exit")
		if _, err := StartStack(t.Context(), c); err == nil {
			t.Fatal("billing should not have come up")
		}
		c.Exe = c.Dir
		if _, err := StartStack(t.Context(), c); err == nil {
			t.Fatal("a folder should not be executed")
		}
		c.Exe = ""
		c.Only, c.Args = []string{"kill-bill"}, []string{"fake-service"}
		s := mustStart(t, c)
		if err := s.Restart(t.Context(), "kill-bill"); err != nil {
			t.Fatal(err)
		}
		mustStop(t, s)
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(open)
	}
	first := count() // with what the runtime opens once
	if second := count(); second > first {
		t.Errorf("%d descriptors open after a second stack, %d after the first", second, first)
	}
}

func TestStackTakesEverythingDownWhenOneDoesNotComeUp(t *testing.T) {
	for _, x := range []struct {
		behaviour string
		timeout   time.Duration
		want      []string
	}{
		{"exit", patience, []string{"exited before it was listening: exit status 3", "cannot open the store"}},
		{"closes-address", patience, []string{"closed the address pipe without saying where it listens"}},
		{"garbage", patience, []string{`said where it listens in an unknown way ("hello\n")`}},
		{"liar", patience, []string{`"http://192.0.2.1:80", which is no http address on loopback`}},
		{"mute", 2 * time.Second, []string{"not ready within 2s: it has not said where it listens", "fake billing begins"}},
		{"never-ready", 2 * time.Second, []string{"not ready within 2s: GET /ready: 503 Service Unavailable store is being migrated"}},
	} {
		t.Run(x.behaviour, func(t *testing.T) {
			t.Parallel()
			c, seen := fakes(t, "billing:"+x.behaviour)
			if x.timeout != patience { // kill-bill has no more time than billing
				c.ReadyTimeout = x.timeout
			}
			s, err := StartStack(t.Context(), c)
			if err == nil {
				mustStop(t, s)
				t.Fatal("came up")
			}
			for _, want := range append(x.want, "bundled service billing: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q: %v", want, err)
				}
			}
			var failed *StackError
			if !errors.As(err, &failed) || failed.Service != "billing" || !strings.Contains(failed.Hint(), filepath.Join(c.Dir, "billing.log")) {
				t.Errorf("error is %#v", err)
			}
			for _, e := range seen.all() {
				if running(e.PID) {
					t.Errorf("%s: pid %d is left", e.Service, e.PID)
				}
			}
			if told := seen.brief(); !slices.Equal(told[:3], []string{"kill-bill started", "kill-bill ready", "billing started"}) ||
				told[len(told)-1] != "kill-bill stopped" {
				t.Errorf("events are %q", told)
			}
		})
	}
}

func TestStackStartInterrupted(t *testing.T) {
	t.Parallel()
	c, seen := fakes(t, "billing:never-ready")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tell := c.OnEvent
	c.OnEvent = func(x StackEvent) {
		tell(x)
		if x.Service == "billing" && x.State == "started" {
			cancel()
		}
	}
	_, err := StartStack(ctx, c)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "billing: interrupted") {
		t.Errorf("error is %v", err)
	}
	for _, e := range seen.all() {
		if running(e.PID) {
			t.Errorf("%s: pid %d is left", e.Service, e.PID)
		}
	}
}

func TestStackIsTakenDownWhenOnEventPanics(t *testing.T) {
	t.Parallel()
	c, seen := fakes(t)
	tell := c.OnEvent
	c.OnEvent = func(x StackEvent) {
		tell(x)
		if x.Service == "billing" && x.State == "started" {
			panic("on purpose")
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic got lost")
			}
		}()
		_, _ = StartStack(t.Context(), c)
	}()
	for _, e := range seen.all() {
		if running(e.PID) {
			t.Errorf("%s: pid %d is left", e.Service, e.PID)
		}
	}
}

func TestTwoStacksDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	one, _ := fakes(t)
	two, seen := fakes(t)
	one.Only, two.Only = []string{"billing"}, []string{"billing"}
	var a, b *Stack
	var errA, errB error
	var both sync.WaitGroup
	both.Go(func() { a, errA = StartStack(t.Context(), one) })
	both.Go(func() { b, errB = StartStack(t.Context(), two) })
	both.Wait()
	for _, s := range []*Stack{a, b} {
		if s != nil {
			defer s.Stop(context.Background())
		}
	}
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if urlOf(t, a, "billing") == urlOf(t, b, "billing") {
		t.Fatalf("both listen at %s", urlOf(t, a, "billing"))
	}
	pids := b.PIDs()
	mustStop(t, a)
	for service, pid := range pids {
		if me := ask(t, urlOf(t, b, service)); me.PID != pid {
			t.Errorf("%s of the other stack: pid %d, want %d", service, me.PID, pid)
		}
	}
	for _, e := range seen.all() {
		if e.State != "started" && e.State != "ready" {
			t.Errorf("the other stack tells %+v", e)
		}
	}
}

func TestStackSurvivesTheThreadThatStartedIt(t *testing.T) {
	t.Parallel()
	c, seen := fakes(t)
	c.Only = []string{"billing"}
	var s *Stack
	var err error
	ended := make(chan int, 1)
	var start func()
	start = func() {
		runtime.LockOSThread() // and never unlocked: its thread ends with it
		if gettid() == os.Getpid() {
			// The main thread, which never ends: keep it busy while another does it.
			other := make(chan struct{})
			go func() { defer close(other); start() }()
			<-other
			return
		}
		s, err = StartStack(context.Background(), c)
		ended <- gettid()
	}
	go start()
	thread := <-ended
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background())
	if runtime.GOOS == "linux" {
		eventually(t, "end of the thread", func() bool {
			_, err := os.Stat("/proc/self/task/" + strconv.Itoa(thread))
			return err != nil
		})
	}
	if me := ask(t, urlOf(t, s, "kill-bill")); me.PID != s.PIDs()["kill-bill"] {
		t.Errorf("kill-bill is %d, want %d", me.PID, s.PIDs()["kill-bill"])
	}
	if told := seen.brief(); slices.Contains(told, "kill-bill exited") || slices.Contains(told, "billing exited") {
		t.Errorf("events are %q", told)
	}
}
