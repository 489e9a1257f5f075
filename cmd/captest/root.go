package main

import (
	"errors"
	"regexp"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "captest",
		Short: "Load-test a service and diagnose its capacity",
		Long: `captest pushes journeys at a service until it finds what it can carry, lets go, and watches whether it comes back.

  captest run                            the whole experiment on the bundled services
  captest run --users 100 --concurrent 20
  captest run --target http://127.0.0.1:8001 my-scenario.yaml
` + exitStatus,
		SilenceErrors: true, SilenceUsage: true,
		Version: version(),
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &exitError{cause: plainer(err), code: 104, hint: "see `" + c.CommandPath() + " --help`"}
	})
	root.AddCommand(newRun(e), newPlan(e), newDemo(e), newServe(e), newServeOne(e), newProbe(e), newReport(e), newGate(e), newDiagnose(e), newExport(e), newCheck(e), newSchema(e), newScenarios(e), newTargets(e))
	checkArgs(root)
	for _, c := range root.Commands() {
		checkArgs(c)
	}
	return root
}

// Of a flag's value, in the language's words and in those of its user.
var plainWords = []struct {
	said *regexp.Regexp
	want string
}{
	{regexp.MustCompile(`strconv\.Parse(Int|Uint|Float): parsing "[^"]*": invalid syntax`), "want a number, whole and not negative where things are counted"},
	{regexp.MustCompile(`strconv\.Parse(Int|Uint|Float): parsing "[^"]*": value out of range`), "this number is too large"},
	{regexp.MustCompile(`strconv\.ParseBool: parsing "[^"]*": invalid syntax`), "want true or false"},
}

// plainer says of a flag's value what was wanted.
func plainer(err error) error {
	text := err.Error()
	for _, p := range plainWords {
		text = p.said.ReplaceAllString(text, p.want)
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

// checkArgs makes wrong arguments a configuration error like any other.
func checkArgs(c *cobra.Command) {
	args := c.Args
	if args == nil {
		return
	}
	c.Args = func(c *cobra.Command, a []string) error {
		if err := args(c, a); err != nil {
			return &exitError{cause: err, code: 104, hint: "usage: " + c.UseLine()}
		}
		return nil
	}
}

// version of the build: the module's when installed with go install, the commit's when built in a clone.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && v == "devel" {
			v += "-" + s.Value[:12]
		}
	}
	return v
}
