package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/services"
	"github.com/captest/captest/targets"
)

func newCheck(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE…",
		Short: "Check scenario and target files, every mistake at once",
		Long:  "A file with steps is a scenario, one with services is a target; vegeta target files are known by their first line. Nothing is sent.\n" + exitStatus,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, files []string) error {
			var all []error
			for _, f := range files {
				kind, err := checkFile(e, f)
				if err != nil {
					all = append(all, err)
					continue
				}
				fmt.Fprintf(e.stdout, "%s: %s, ok\n", f, kind)
			}
			return invalid(errors.Join(all...))
		},
	}
}

func checkFile(e *env, file string) (kind string, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", &exitError{cause: err, code: gate.ExitConfig, hint: "name the files to check; `captest scenarios` and `captest targets` list the bundled ones"}
	}
	if kindOf(string(raw)) == "target" {
		t, err := targets.Load(file, e.getenv)
		if err == nil && t.Bundled {
			err = services.CheckKnobs(t.Profile, t.Set)
		}
		return "target", err
	}
	s, err := scenarios.Load(file)
	if err == nil && s.Baseline != "" && s.Baseline != "none" {
		_, err = targets.LoadBaseline(s.Baseline)
	}
	if s != nil && s.Origin != "" {
		return "vegeta targets", err
	}
	return "scenario", err
}

// kindOf a file: only target files have services, only scenarios have steps, both at the left margin; "" for neither.
func kindOf(text string) string {
	kind := ""
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "steps:") {
			return "scenario"
		}
		if strings.HasPrefix(line, "services:") {
			kind = "target"
		}
	}
	return kind
}

// mistaken says that a file was given in the other's place; nil when it was not.
func mistaken(file string, asTarget bool) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	switch kind := kindOf(string(raw)); {
	case asTarget && kind == "scenario":
		return &exitError{cause: fmt.Errorf("--target %s: this is a scenario: it has steps", file), code: gate.ExitConfig, hint: "captest plan " + file + " --target URL or a target file"}
	case !asTarget && kind == "target":
		return &exitError{cause: fmt.Errorf("%s: this is a target file: it has services", file), code: gate.ExitConfig, hint: "captest plan --target " + file}
	}
	return nil
}

func newSchema(e *env) *cobra.Command {
	return &cobra.Command{
		Use:       "schema [scenario|target]",
		Short:     "Print the JSON Schema of scenario or target files, for editors",
		ValidArgs: []string{"scenario", "target"},
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		RunE: func(_ *cobra.Command, args []string) error {
			schema := scenarios.JSONSchema
			if len(args) == 1 && args[0] == "target" {
				schema = targets.JSONSchema
			}
			raw, err := schema()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(e.stdout, "%s\n", raw)
			return err
		},
	}
}

func newScenarios(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "scenarios [NAME]",
		Short: "List the built-in scenarios, or print one to start your own from",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return printFile(e, "scenario", args[0], scenarios.BuiltinFile, scenarios.Builtins())
			}
			for _, name := range scenarios.Builtins() {
				s, err := scenarios.Load(name)
				if err != nil {
					return err
				}
				var steps []string
				for _, x := range s.Steps {
					steps = append(steps, x.Name)
				}
				fmt.Fprintf(e.stdout, "%-16s %s (%s)\n", name, s.Description, strings.Join(steps, " → "))
			}
			return nil
		},
	}
}

func newTargets(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "targets [NAME]",
		Short: "List the built-in targets, or print one to start your own from",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return printFile(e, "target", args[0], targets.BuiltinFile, targets.Builtins())
			}
			for _, name := range targets.Builtins() {
				t, err := targets.Load(name, e.getenv)
				if err != nil {
					return err
				}
				var names []string
				for _, s := range t.Services {
					names = append(names, s.Name)
				}
				fmt.Fprintf(e.stdout, "%-16s %s, profile %s\n", name, strings.Join(names, ", "), t.Profile)
			}
			return nil
		},
	}
}

func printFile(e *env, kind, name string, find func(string) ([]byte, bool), known []string) error {
	raw, ok := find(name)
	if !ok {
		return invalid(fmt.Errorf("no built-in %s %q; there are %s", kind, name, strings.Join(known, ", ")))
	}
	_, err := e.stdout.Write(raw)
	return err
}
