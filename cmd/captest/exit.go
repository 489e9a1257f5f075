package main

import (
	"errors"
	"fmt"

	"github.com/captest/captest/internal/experiment"
	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/targets"
)

// exitError carries an exit code; without a cause there is nothing left to print.
type exitError struct {
	code  int
	cause error
	hint  string
}

func (e *exitError) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("exit %d (%s)", e.code, gate.Meaning(e.code))
	}
	return e.cause.Error()
}

func (e *exitError) Unwrap() error { return e.cause }

// Hint is the error's own, or that of its cause.
func (e *exitError) Hint() string {
	if e.hint != "" {
		return e.hint
	}
	var h interface{ Hint() string }
	if errors.As(e.cause, &h) {
		return h.Hint()
	}
	return ""
}

// invalid marks an error of the command line or of a file.
func invalid(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: gate.ExitConfig, cause: err}
}

// exitCode of an error, by what went wrong. What no rule knows is a scenario that could not be carried out.
func exitCode(err error) int {
	var (
		own         *exitError
		refused     *targets.RefusedError
		unreachable *experiment.UnreachableError
		descriptors *experiment.DescriptorError
	)
	switch {
	case errors.As(err, &refused):
		return gate.ExitRefused
	case errors.As(err, &unreachable):
		return gate.ExitUnreachable
	case errors.As(err, &descriptors):
		return gate.ExitConfig
	case errors.As(err, &own):
		return own.code
	case errors.Is(err, experiment.ErrInterrupted):
		return gate.ExitInterrupted
	}
	return gate.ExitScenario
}

const exitStatus = `
EXIT STATUS
  0 pass                     99 a limit or gate failed
  104 invalid configuration  105 interrupted
  107 scenario error         109 internal error
  111 inconclusive           112 baseline missing or not comparable
  113 refused by the guard   114 target unreachable
  115 did not recover`
