package targets

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStackOrder(t *testing.T) {
	for _, x := range []struct {
		name   string
		config StackConfig
		want   []string // services, or
		wrong  string   // part of the error
	}{
		{"all", StackConfig{}, []string{"kill-bill", "billing", "instance", "user"}, ""},
		{"one with what it calls", StackConfig{Only: []string{"user"}}, []string{"kill-bill", "billing", "user"}, ""},
		{"in the order of the start", StackConfig{Only: []string{"user", "kill-bill"}}, []string{"kill-bill", "billing", "user"}, ""},
		{"twice", StackConfig{Only: []string{"kill-bill", "kill-bill"}}, []string{"kill-bill"}, ""},
		{
			"called elsewhere",
			StackConfig{Only: []string{"user"}, Downstream: map[string]string{"billing": "http://127.0.0.1:8004"}},
			[]string{"user"},
			"",
		},
		{
			"all but what is elsewhere",
			StackConfig{Downstream: map[string]string{"billing": "http://127.0.0.1:8004/"}},
			[]string{"instance", "user"},
			"",
		},
		{
			"all but a real Kill Bill",
			StackConfig{Downstream: map[string]string{"kill-bill": "http://127.0.0.1:8080"}},
			[]string{"billing", "instance", "user"},
			"",
		},
		{
			"ports of others",
			StackConfig{Only: []string{"kill-bill"}, Ports: map[string]int{"kill-bill": 8080, "user": 8001}},
			[]string{"kill-bill"},
			"",
		},

		{"unknown profile", StackConfig{Profile: "phase9"}, nil, "phase9"},
		{"unknown knob", StackConfig{Set: map[string]string{"hsh": "loop"}}, nil, "hsh"},
		{"unknown service", StackConfig{Only: []string{"users"}}, nil, `"users" is not one of kill-bill, billing, instance, user`},
		{"unknown port", StackConfig{Ports: map[string]int{"db": 1}}, nil, `"db" is not one of`},
		{"port out of range", StackConfig{Ports: map[string]int{"user": 65536}}, nil, "65536 is not within 0 to 65535"},
		{"negative port", StackConfig{Ports: map[string]int{"user": -1}}, nil, "-1 is not within"},
		{"unknown downstream", StackConfig{Downstream: map[string]string{"db": "http://127.0.0.1:1"}}, nil, `"db" is not one of`},
		{"downstream without URL", StackConfig{Downstream: map[string]string{"billing": "127.0.0.1:1"}}, nil, "downstream billing"},
		{"downstream of another scheme", StackConfig{Downstream: map[string]string{"billing": "ftp://127.0.0.1"}}, nil, "not an http URL"},
		{"empty downstream", StackConfig{Downstream: map[string]string{"billing": ""}}, nil, "not an http URL"},
		{
			"both started and elsewhere",
			StackConfig{Only: []string{"user", "billing"}, Downstream: map[string]string{"billing": "http://127.0.0.1:1"}},
			nil, "both to be started and given as running",
		},
		{
			"downstream that nothing calls",
			StackConfig{Only: []string{"kill-bill"}, Downstream: map[string]string{"billing": "http://127.0.0.1:1"}},
			nil, "nothing to be started calls billing",
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			if x.config.Profile == "" {
				x.config.Profile = "before"
			}
			got, err := x.config.order()
			switch {
			case x.wrong == "" && err != nil:
				t.Error(err)
			case x.wrong != "" && (err == nil || !strings.Contains(err.Error(), x.wrong)):
				t.Errorf("error is %v, want %q in it", err, x.wrong)
			}
			if diff := cmp.Diff(x.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStackConfigMistakes(t *testing.T) {
	for name, c := range map[string]StackConfig{
		"no folder":         {},
		"negative time-out": {Dir: "x", ReadyTimeout: -1},
		"negative stop":     {Dir: "x", StopTimeout: -1},
		"negative log":      {Dir: "x", LogLimit: -1},
		"bad store":         {Dir: "x", Store: "mysql://host/db"},
	} {
		if _, err := c.complete(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
