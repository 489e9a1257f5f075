package main

import (
	"strings"
	"testing"

	"github.com/captest/captest/internal/experiment"
	"github.com/captest/captest/internal/schedule"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

func TestChooseEngine(t *testing.T) {
	t.Parallel()
	one := &scenarios.Scenario{Name: "one", Steps: []scenarios.Step{{Name: "a"}}}
	two := &scenarios.Scenario{Name: "two", Steps: []scenarios.Step{{Name: "a"}, {Name: "b"}}}
	open := &experiment.Fixed{Plan: &schedule.Plan{}}
	closed := &experiment.Fixed{Users: 3, Total: 3}
	for _, c := range []struct {
		flag     string
		scenario *scenarios.Scenario
		fixed    *experiment.Fixed
		name     string
		says     string // part of why, or of the error
	}{
		{"auto", one, nil, "native", "auto"},
		{"auto", two, closed, "native", "auto"},
		{"auto", one, open, "native", "auto"},
		{"http", two, nil, "net/http", "asked for"},
		{"vegeta", one, open, "vegeta", "asked for"},
		{"vegeta", one, closed, "", "give --rate and --duration"},
		{"vegeta", one, nil, "", "give --rate and --duration"},
		{"vegeta", two, open, "", "scenario two has 2 steps"},
		{"native", one, open, "native", "asked for"},
		{"curl", one, open, "", "not one of auto, native, http, vegeta"},
		{"", one, open, "", "not one of"},
	} {
		name, why, err := chooseEngine(&runOptions{engine: c.flag}, c.scenario, &targets.Target{}, c.fixed)
		if err != nil {
			why = err.Error()
		}
		if name != c.name || (err == nil) != (c.name != "") || !strings.Contains(why, c.says) {
			t.Errorf("--engine %s, %s, %+v: %q, %q (error %v); want %q saying %q", c.flag, c.scenario.Name, c.fixed, name, why, err, c.name, c.says)
		}
	}
}
