package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/captest/captest/internal/diagnose"
	"github.com/captest/captest/internal/experiment"
	"github.com/captest/captest/services"
	"github.com/captest/captest/targets"
)

// settings are what captest can change of a target: what each stands at, and what changes it. Both are nil for a target without.
// Names are those of `captest diagnose --what-if`, without the service.
type settings struct {
	at     diagnose.Settings
	change func(ctx context.Context, service, setting, value string) error
}

// settings of the bundled services are their knobs: a service is restarted with one of them flipped.
func (b *bundled) settings(t *targets.Target) settings {
	at := func(service, setting string) (string, bool) {
		return services.Setting(service, t.Profile, t.Set, bundledKnob(setting))
	}
	return settings{at: at, change: func(ctx context.Context, service, setting, value string) error {
		flipped := map[string]string{bundledKnob(setting): value}
		if was, ok := at(service, setting); ok && was == value {
			flipped = nil
		}
		return b.stack.RestartWith(ctx, service, flipped)
	}}
}

// bundledKnob is the bundled services' name of a setting.
func bundledKnob(setting string) string {
	switch kind, _, _ := strings.Cut(setting, "."); kind {
	case "pool":
		return "max_connections"
	case "semaphore":
		return kind
	}
	if knob, ok := map[string]string{"lock": "hot_lock", "time": "service_time"}[setting]; ok {
		return knob
	}
	return setting
}

// settingsOf are those that a target file has commands for; said gets what a command that fails has written.
func settingsOf(t *targets.Target, said io.Writer) settings {
	any := false
	for _, s := range t.Services {
		any = any || len(s.Knobs) > 0
	}
	if !any {
		return settings{}
	}
	find := func(service, setting string) (targets.Knob, bool) {
		if s, ok := t.Find(service); ok && service != "" {
			return s.Knob(setting)
		}
		return targets.Knob{}, false
	}
	return settings{
		at: func(service, setting string) (string, bool) {
			k, ok := find(service, setting)
			return k.Value, ok
		},
		change: func(ctx context.Context, service, setting, value string) error {
			k, ok := find(service, setting)
			if !ok {
				return fmt.Errorf("target %s: service %q has no knob %s; add it under knobs: in the target file", t.Name, service, setting)
			}
			command, ok := k.Setting(value)
			if !ok {
				return fmt.Errorf("target %s: %q is no plain value for the command of %s.%s", t.Name, value, service, setting)
			}
			return runHook(ctx, service+"."+setting, command, hookTimeout, said)
		},
	}
}

// suspect explains a run folder that is still being written and says which settings would prove what limits.
func (s settings) suspect(dir string) func() (experiment.Suspicion, error) {
	if s.at == nil {
		return nil
	}
	return func() (experiment.Suspicion, error) {
		run, res, err := conclude(dir)
		if err != nil {
			return experiment.Suspicion{}, err
		}
		found := diagnose.Suspect(run, res, s.at)
		out := experiment.Suspicion{NoKnob: found.NoKnob, NoTime: found.NoTime}
		if k := found.Knob; k != nil {
			out.Knob = &experiment.KnobTest{
				Knob:      experiment.Knob{Service: k.Service, Name: k.Setting, From: k.From, To: k.To},
				PerSecond: k.PerSecond.Value, Low: k.PerSecond.Low, High: k.PerSecond.High, Limit: k.Limit, KneeUsers: k.KneeUsers,
			}
		}
		if t := found.Time; t != nil {
			out.Time = &experiment.TimeTest{
				Knob:   experiment.Knob{Service: t.Service, Name: "time", From: t.From, To: t.To},
				Caller: t.Caller, Callee: t.Callee, HoldS: t.HoldS, TellsApart: t.TellsApart,
			}
		}
		return out, nil
	}
}
