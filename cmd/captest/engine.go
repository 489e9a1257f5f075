package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// engineFlags are what --engine takes.
var engineFlags = []string{"auto", "native", "http", "vegeta"}

// Engines as run.json names them.
const (
	engineNative = "native"
	engineHTTP   = "net/http"
	engineVegeta = "vegeta"
)

// checkEngine refuses a word that is none of --engine's.
func checkEngine(flag string) error {
	if !slices.Contains(engineFlags, flag) {
		return fmt.Errorf("--engine %s: not one of %s", flag, strings.Join(engineFlags, ", "))
	}
	return nil
}

// chooseEngine says which engine sends a run's load, as run.json names it, and why, for people. This is the one place that knows.
func chooseEngine(o *runOptions, s *scenarios.Scenario, t *targets.Target, fixed *experiment.Fixed) (name, why string, err error) {
	if err := checkEngine(o.engine); err != nil {
		return "", "", err
	}
	unfit := nativeUnfit(o, s, t)
	if len(o.sources) > 0 && (unfit != nil || o.engine == "http" || o.engine == "vegeta") {
		if unfit == nil {
			unfit = fmt.Errorf("--engine %s was asked for", o.engine)
		}
		return "", "", fmt.Errorf("--source is the native engine's, which cannot be used: %w", unfit)
	}
	const asked = "asked for with --engine"
	switch o.engine {
	case "native":
		if unfit != nil {
			return "", "", unfit
		}
		return engineNative, asked, nil
	case "vegeta":
		if fixed == nil || fixed.Plan == nil {
			return "", "", &drive.VegetaError{Msg: "sends open loads alone: give --rate and --duration"}
		}
		if err := drive.CheckVegeta(s); err != nil {
			return "", "", err
		}
		if fixed.Connections > 0 {
			return "", "", &drive.VegetaError{Msg: "drops the arrivals beyond its connections; it has no notion of --connections"}
		}
		return engineVegeta, asked, nil
	case "http":
		return engineHTTP, asked, nil
	}
	if unfit != nil {
		return engineHTTP, "auto: " + unfit.Error(), nil
	}
	return engineNative, "auto: plain HTTP/1.1, which it sends at the least cost", nil
}

// nativeUnfit says why the native engine cannot send a run's load; nil where it can.
func nativeUnfit(o *runOptions, s *scenarios.Scenario, t *targets.Target) error {
	if v := o.secure.http; v != "" && v != "auto" && v != "1.1" {
		return fmt.Errorf("the native engine speaks HTTP/1.1, and --http %s was asked for", v)
	}
	return drive.CheckNative(s, t)
}

// newEngine makes the engine of a name that chooseEngine gave.
func newEngine(name string, c drive.Config) (drive.Engine, error) {
	switch name {
	case engineNative:
		return drive.NewNative(c)
	case engineVegeta:
		return drive.NewVegeta(c)
	default:
		return drive.NewHTTP(c)
	}
}
