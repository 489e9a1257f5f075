package services

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProfilesFileIsSound(t *testing.T) {
	table, err := readTable(profilesFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"before", "phase1", "phase2", "phase3"}, Profiles()); diff != "" {
		t.Error(diff)
	}
	for _, k := range table.Knobs {
		if k.Means == "" || len(k.For) == 0 {
			t.Errorf("knob %s: no meaning, or for nobody", k.Name)
		}
	}
	for _, profile := range Profiles() {
		if err := CheckKnobs(profile, nil); err != nil {
			t.Errorf("%s: %v", profile, err)
		}
	}
}

func TestProfilesFileMistakesAreFound(t *testing.T) {
	for name, edit := range map[string][2]string{
		"a value that is not allowed": {"before: loop, phase1", "before: lop, phase1"},
		"a profile left out":          {"set: {before: loop, phase1: loop, ", "set: {before: loop, "},
		"a service that is not":       {"for: [user]\n    values: loop|pool", "for: [usr]\n    values: loop|pool"},
		"a knob twice":                {"knob: hash_cost", "knob: hash"},
		"a field that is not":         {"means: bcrypt cost", "mean: bcrypt cost"},
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

func TestKnobsAreCheckedStrictly(t *testing.T) {
	for _, c := range []struct {
		name, profile, key, value string
		problem, hint             string // "" for no mistake
	}{
		{"a word", "before", "user.hash", "pool", "", ""},
		{"for every service", "before", "client", "pooled", "", ""},
		{"a dash in the service", "before", "kill-bill.slots", "10", "", ""},
		{"none", "phase2", "billing.semaphore", "none", "", ""},
		{"a duration", "phase2", "read_timeout", "1m30s", "", ""},
		{"a decimal", "phase2", "service_cv", "0.5", "", ""},
		{"a profile misspelt", "befor", "user.hash", "pool", "no such profile", "did you mean before?"},
		{"a word misspelt", "before", "user.hash", "poll", `"poll" is not one of loop, pool`, "did you mean user.hash=pool?"},
		{"a knob misspelt", "before", "user.hsh", "pool", `no knob "hsh"`, "did you mean user.hash?"},
		{"a knob with a dash", "before", "hash-cost", "10", `no knob "hash-cost"`, "did you mean hash_cost?"},
		{"a service misspelt", "before", "usr.hash", "pool", `no service "usr"`, "did you mean user.hash?"},
		{"a knob of another service", "before", "billing.hash", "pool", "billing has no such knob; it makes sense for user", "captest serve --help"},
		{"nothing like it", "before", "frobnicate", "1", `no knob "frobnicate"`, "captest serve --help"},
		{"a number too large", "before", "workers", "65", `"65" is not one of 0..64`, "captest serve --help"},
		{"a number that is none", "before", "workers", "1.5", `"1.5" is not one of 0..64`, ""},
		{"a duration without unit", "before", "read_timeout", "30", `"30" is not one of none, 1ms..1h`, ""},
		{"nothing", "before", "workers", "", `"" is not one of 0..64`, ""},
		{"not a number", "before", "service_cv", "NaN", "is not one of", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := CheckKnobs(c.profile, map[string]string{c.key: c.value})
			if c.problem == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var knob *KnobError
			if !errors.As(err, &knob) || !strings.Contains(knob.Problem, c.problem) || !strings.Contains(knob.Hint(), c.hint) {
				t.Errorf("got %v, hint %q; want %q, hint %q", err, knob.Hint(), c.problem, c.hint)
			}
		})
	}
	err := CheckKnobs("nope", map[string]string{"hash": "x", "cleint": "pooled"})
	for _, want := range []string{"profile=nope", "hash=x", "cleint=pooled"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("three mistakes, but %s is not in: %v", want, err)
		}
	}
}

func TestTheNarrowerSettingWins(t *testing.T) {
	table, err := readTable(profilesFile)
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{"client": "pooled", "user.client": "per-request", "hash": "pool", "kill-bill.slots": "3"}
	for service, want := range map[string]map[string]string{
		"user":      {"client": "per-request", "hash": "pool", "workers": "1"},
		"billing":   {"client": "pooled", "kill_bill_calls": "4"},
		"kill-bill": {"slots": "3", "queue": "100"},
	} {
		got, err := table.resolve(service, "before", set)
		if err != nil {
			t.Fatal(err)
		}
		for knob, value := range want {
			if got[knob] != value {
				t.Errorf("%s: %s = %s, want %s", service, knob, got[knob], value)
			}
		}
		if _, has := got["hash"]; has != (service == "user") {
			t.Errorf("%s has hash: %v", service, has)
		}
	}
}

// Every knob must reach the service: a row of the table that nothing reads would be a switch without a wire.
func TestEveryKnobIsWired(t *testing.T) {
	table, err := readTable(profilesFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range table.Knobs {
		if k.Name == "nofile" {
			continue // acts on the process, see TestDescriptorLimit
		}
		for _, service := range k.For {
			was, err := table.resolve(service, "phase3", nil)
			if err != nil {
				t.Fatal(err)
			}
			changed := maps.Clone(was)
			for _, other := range []string{"1", "2", "3", "5", "16", "request", "33ms", "333ms", "0.7", "loop", "pool", "per-request", "leaks", "continues", "abrupt", "hash", "4"} {
				if other != was[k.Name] && k.allows(other) == nil {
					changed[k.Name] = other
				}
			}
			if maps.Equal(was, changed) {
				t.Fatalf("%s: found no other value to set", k.Name)
			}
			if service == "kill-bill" {
				if k.Name != "idle_timeout" && was.killBill() == changed.killBill() {
					t.Errorf("kill-bill.%s changes nothing", k.Name)
				}
			} else if was.kit() == changed.kit() {
				t.Errorf("%s.%s changes nothing", service, k.Name)
			}
		}
	}
}

func TestKnobHelpShowsEveryKnobWithItsValues(t *testing.T) {
	table, err := readTable(profilesFile)
	if err != nil {
		t.Fatal(err)
	}
	help := KnobHelp()
	for _, k := range table.Knobs {
		for _, want := range slices.Concat([]string{k.Name + ": ", k.Means}, k.For) {
			if !strings.Contains(help, want) {
				t.Errorf("%s: no %q in the help", k.Name, want)
			}
		}
	}
	for _, want := range []string{"before=per-request phase1=per-request phase2=pooled phase3=pooled", "(user, billing, instance)", "--set"} {
		if !strings.Contains(help, want) {
			t.Errorf("no %q in the help", want)
		}
	}
}
