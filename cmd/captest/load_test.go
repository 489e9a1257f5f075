package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment"
	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
	"github.com/captest/captest/internal/tui"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

func TestStagesOfAFile(t *testing.T) {
	t.Parallel()
	o := &runOptions{}
	f, err := o.fromFile(&scenarios.FixedLoad{Stages: []scenarios.LoadStage{{Users: 4, For: time.Second}, {Users: 0, For: 2 * time.Second}}})
	if err != nil || f.Ramp == nil || f.Plan != nil || f.Ramp.Peak() != 4 || f.Ramp.Length() != 3*time.Second {
		t.Errorf("%+v, %v; want a ramp to 4 and back", f, err)
	}
	f, err = o.fromFile(&scenarios.FixedLoad{Stages: []scenarios.LoadStage{{Rate: 4, For: time.Second}}})
	if err != nil || f.Plan == nil || f.Ramp != nil {
		t.Errorf("%+v, %v; want a plan", f, err)
	}
	_, err = o.fromFile(&scenarios.FixedLoad{Stages: []scenarios.LoadStage{{Users: 4, For: time.Second}, {Rate: 4, For: time.Second}}})
	if err == nil || !strings.Contains(err.Error(), "stage 2 sets a rate") {
		t.Errorf("mixed stages: %v", err)
	}
}

func TestConnectionsAreForAnOpenLoad(t *testing.T) {
	t.Parallel()
	open := &experiment.Fixed{Plan: &schedule.Plan{}}
	for _, c := range []struct {
		n    int
		f    *experiment.Fixed
		says string
	}{{0, nil, ""}, {5, open, ""}, {-1, open, "from 1"}, {1 << 20, open, "from 1"}, {5, nil, "--rate"}, {5, &experiment.Fixed{Users: 3}, "--rate"}} {
		err := (&runOptions{connections: c.n}).bound(c.f)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%d on %+v: %v, want %q", c.n, c.f, err, c.says)
		}
	}
	if open.Connections != 5 {
		t.Errorf("%d connections, want 5", open.Connections)
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	if err := drive.CheckNative(&scenarios.Scenario{}, &targets.Target{}); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		list []string
		n    int
		says string
	}{
		{nil, 0, ""},
		{[]string{"127.0.0.2"}, 1, ""},
		{[]string{"127.0.0.2", " 127.0.0.3", "127.0.0.2"}, 2, ""},
		{[]string{"127.0.0.0/24"}, 254, ""},
		{[]string{"127.0.0.77/31"}, 2, ""},
		{[]string{"192.0.2.1"}, 0, "cannot send from 192.0.2.1"}, // TEST-NET-1, nobody's
		{[]string{"192.0.2.0/30"}, 0, "cannot send from 192.0.2.1"},
		{[]string{"127.0.0.0/8"}, 0, "more than 1024 addresses"},
		{[]string{"127.0.1.0/23", "127.0.4.0/23", "127.0.8.0/24"}, 0, "more than 1024 addresses in all"},
		{[]string{"0.0.0.0"}, 0, "not an address that a connection can come from"},
		{[]string{"localhost"}, 0, "neither an address like"},
		{[]string{""}, 0, "neither an address like"},
	} {
		got, err := parseSources(c.list)
		if len(got) != c.n || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %d addresses, %v; want %d, %q", c.list, len(got), err, c.n, c.says)
		}
	}
}

func TestEnginesThatCannotDoWhatIsAskedRefuse(t *testing.T) {
	t.Parallel()
	s := &scenarios.Scenario{Name: "one", Steps: []scenarios.Step{{Name: "a"}}}
	secure := &targets.Target{Name: "t", Entry: "a", Services: []targets.Service{{Name: "a", URL: "https://127.0.0.1:1"}}}
	open := &experiment.Fixed{Plan: &schedule.Plan{}, Connections: 3}
	for _, c := range []struct {
		o      runOptions
		target *targets.Target
		says   string
	}{
		{runOptions{engine: "http", sources: []string{"127.0.0.2"}}, &targets.Target{}, "--engine http was asked for"},
		{runOptions{engine: "vegeta", sources: []string{"127.0.0.2"}}, &targets.Target{}, "--engine vegeta was asked for"},
		{runOptions{engine: "auto", sources: []string{"127.0.0.2"}}, secure, "--source is the native engine's"},
		{runOptions{engine: "vegeta"}, &targets.Target{}, "--connections"},
	} {
		if name, _, err := chooseEngine(&c.o, s, c.target, open); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %q, %v; want %q", c.o, name, err, c.says)
		}
	}
}

// Stages of users, a bound on connections and source addresses, from the command line to the summary.
func TestLoadsOfTheCommandLine(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "stages.yaml")
	text := "name: stages\nsteps: [{name: health, request: {path: /health}, timeouts: {connect: 2s, first_byte: 5s}}]\n" +
		"load: {stages: [{users: 4, for: 1s}, {users: 0, for: 1s}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "run", file, "--target", cheap(t), "--limit", "errors<1%", "--source", "127.0.0.0/28")
	if code := p.wait(); code != gate.ExitPass && code != gate.ExitInconclusive { // a busy machine may spoil the trial, and says so
		t.Fatalf("exit %d\n%s%s", code, p.stdout.String(), p.stderr.String())
	}
	if r := p.result(); len(r.Trials) != 1 || r.Trials[0].Load.Users != 4 || r.Trials[0].N == 0 || r.Trials[0].Seconds < 2 {
		t.Errorf("trials %+v", r.Trials)
	}
	// One connection and a hash of a millisecond: arrivals that come together wait for each other.
	p = start(t, "run", "--target", cheap(t), "--rate", "20", "--duration", "1s", "--arrivals", "poisson", "--connections", "1", "--limit", "errors<1%")
	code := p.wait()
	if r := p.result(); r.Trials[0].Late == nil || *r.Trials[0].Late == 0 || r.Trials[0].Dropped != 0 || !strings.Contains(p.stdout.String(), "arrivals were late") {
		t.Errorf("exit %d, %+v; want late arrivals and none dropped\n%s", code, r.Trials, p.stdout.String())
	}
}

// Keys that change nothing say so in the run folder; those before a load has begun are such.
func TestRefusedKeysAreWrittenDown(t *testing.T) {
	t.Parallel()
	folder, err := record.Create(t.TempDir(), "s", "t", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	press := keys(&experiment.Control{}, folder, record.NewClock())
	for _, a := range []tui.Action{tui.More, tui.Hold, tui.Mark} {
		press(a)
	}
	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}
	run, err := record.Read(folder.Dir())
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]string
	for _, e := range run.Events {
		var x map[string]string
		if err := json.Unmarshal(e.Data, &x); err != nil {
			t.Fatal(err)
		}
		got = append(got, x)
	}
	if len(got) != 3 || got[0]["refused"] == "" || got[1]["refused"] == "" || got[2]["refused"] != "" {
		t.Errorf("%v", got)
	}
}
