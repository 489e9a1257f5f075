package services

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Causes are a contract between what is planted and what is diagnosed: both use the words of docs/architecture.md.
func TestEveryFaultNamesACauseOfTheGlossary(t *testing.T) {
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "Cause names:")
	list, _, _ := strings.Cut(rest, "\n\n")
	causes := regexp.MustCompile("`[a-z-]+`").FindAllString(list, -1)
	if len(causes) < 10 {
		t.Fatalf("found only %v", causes)
	}
	for _, f := range Faults() {
		if !slices.Contains(causes, "`"+f.Cause+"`") {
			t.Errorf("fault %s: cause %q is not in docs/architecture.md", f.Name, f.Cause)
		}
		for _, profile := range Profiles() {
			if err := CheckKnobs(profile, map[string]string{"fault": f.Name}); err != nil {
				t.Errorf("%s on %s: %v", f.Name, profile, err)
			}
		}
	}
}

func TestAFaultIsOneSettingAndAKnobBesideItWins(t *testing.T) {
	table, err := readTable(profilesFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, service string
		set           map[string]string
		want          map[string]string
	}{
		{"planted", "user", map[string]string{"fault": "database-pool-starved"}, map[string]string{"session": "request", "db_pool": "2"}},
		{"not elsewhere", "billing", map[string]string{"fault": "database-pool-starved"}, map[string]string{"session": "statement", "db_pool": "5"}},
		{"beside a knob", "user", map[string]string{"fault": "database-pool-starved", "user.db_pool": "3"}, map[string]string{"session": "request", "db_pool": "3"}},
		{"beside a knob for all", "user", map[string]string{"fault": "database-pool-starved", "db_pool": "4"}, map[string]string{"session": "request", "db_pool": "4"}},
	} {
		got, err := table.resolve(c.service, "phase2", c.set)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for knob, want := range c.want {
			if got[knob] != want {
				t.Errorf("%s: %s=%s, want %s", c.name, knob, got[knob], want)
			}
		}
	}
}

func TestFaultsAreCheckedStrictly(t *testing.T) {
	for set, want := range map[string][2]string{
		"fault=lock-contenton":      {"no such fault; there are event-loop-blocked", "did you mean fault=lock-contention?"},
		"fault=":                    {"no such fault", ""},
		"user.fault=retry-storm":    {`no knob "fault"`, ""},
		"falt=retry-storm":          {`no knob "falt"`, ""},
		"fault=LOCK-CONTENTION":     {"no such fault", "did you mean fault=lock-contention?"},
		"fault=retry-storm,another": {"no such fault", ""},
	} {
		key, value, _ := strings.Cut(set, "=")
		var bad *KnobError
		if err := CheckKnobs("phase2", map[string]string{key: value}); !errors.As(err, &bad) || !strings.Contains(bad.Problem, want[0]) || !strings.Contains(bad.Hint(), want[1]) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
	for name, edit := range map[string][2]string{
		"a knob that is not":    {"{user.hot_lock: 250ms}", "{user.hotlock: 250ms}"},
		"a value that is not":   {"{user.hot_lock: 250ms}", "{user.hot_lock: 250}"},
		"a service that is not": {"service: user\n    cause: lock-contention", "service: usr\n    cause: lock-contention"},
		"a fault twice":         {"fault: lock-contention", "fault: retry-storm"},
		"a fault in a fault":    {"{user.hot_lock: 250ms}", "{fault: retry-storm}"},
	} {
		data := strings.Replace(string(profilesFile), edit[0], edit[1], 1)
		if data == string(profilesFile) {
			t.Fatalf("%s: nothing to edit", name)
		}
		if _, err := readTable([]byte(data)); err == nil {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestFaultsAreListedWithTheirSettings(t *testing.T) {
	help := KnobHelp()
	for _, f := range Faults() {
		for _, want := range []string{"\n  " + f.Name + "\n", f.Means, settingsText(f.Set)} {
			if !strings.Contains(help, want) {
				t.Errorf("%s: no %q in the help", f.Name, want)
			}
		}
	}
}

func TestDescribeFitsATerminalAndShowsWhatIsSet(t *testing.T) {
	for _, f := range Faults() {
		text := Describe("phase2", map[string]string{"fault": f.Name})
		for line := range strings.SplitSeq(text, "\n") {
			if len(line) > describeWidth {
				t.Errorf("%s: %d columns: %s", f.Name, len(line), line)
			}
		}
	}
	text := Describe("phase2", map[string]string{"fault": "lock-contention", "billing.semaphore": "3"}, "user", "billing")
	for _, want := range []string{
		"profile phase2: ", "fault lock-contention: ", "\nuser      set hot_lock=250ms\n", "\nbilling   set semaphore=3\n", "hash_cost=12",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "instance ") || strings.Contains(text, "retries=") {
		t.Errorf("a service that does not run, or a knob that is off:\n%s", text)
	}
}

func TestTheFirstLineOfTheLogNamesTheFault(t *testing.T) {
	c := startChain(t, "phase2", map[string]string{"fault": "memory-pressure"})
	var line struct{ Msg, Service, Fault, Note string }
	var lines []string
	for text := range strings.SplitSeq(c.log.String(), "\n") {
		if json.Unmarshal([]byte(text), &line) == nil && line.Msg == "knobs" && line.Service == "user" {
			lines = append(lines, line.Fault, line.Note)
		}
	}
	if diff := cmp.Diff([]string{"memory-pressure", "memory_limit is not in force: it needs a process of its own"}, lines); diff != "" {
		t.Error(diff)
	}
}
