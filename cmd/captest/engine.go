package main

import (
	"errors"
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
func chooseEngine(o *runOptions, s *scenarios.Scenario, _ *targets.Target, fixed *experiment.Fixed) (name, why string, err error) {
	if err := checkEngine(o.engine); err != nil {
		return "", "", err
	}
	const asked = "asked for with --engine"
	switch o.engine {
	case "native":
		return "", "", errors.New("--engine native: not available yet; use --engine http")
	case "vegeta":
		if fixed == nil || fixed.Plan == nil {
			return "", "", &drive.VegetaError{Msg: "sends open loads alone: give --rate and --duration"}
		}
		if err := drive.CheckVegeta(s); err != nil {
			return "", "", err
		}
		return engineVegeta, asked, nil
	case "http":
		return engineHTTP, asked, nil
	}
	return engineHTTP, "auto: sends every kind of load", nil
}

// newEngine makes the engine of a name that chooseEngine gave.
func newEngine(name string, c drive.Config) (drive.Engine, error) {
	if name == engineVegeta {
		return drive.NewVegeta(c)
	}
	return drive.NewHTTP(c)
}
