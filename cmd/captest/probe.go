package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/targets"
)

func newProbe(e *env) *cobra.Command {
	var (
		timeout time.Duration
		allow   []string
	)
	c := &cobra.Command{
		Use:   "probe URL",
		Short: "Ask a service once whether it answers, for container health checks",
		Long: `Sends one GET and exits 0 on a 2xx, 114 on any other answer or none: what a health check needs in an image without a
shell or curl.

  captest probe http://127.0.0.1:8001/ready
` + exitStatus,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if timeout <= 0 {
				return invalid(fmt.Errorf("--timeout %s: must be more than 0", timeout))
			}
			began := time.Now()
			err := targets.Probe(c.Context(), args[0], timeout, allow)
			var (
				badURL   *targets.URLError
				badAllow *targets.AllowError
			)
			switch {
			case errors.As(err, &badURL), errors.As(err, &badAllow):
				return invalid(err)
			case err != nil:
				return &exitError{code: gate.ExitUnreachable, cause: err}
			}
			fmt.Fprintf(e.stdout, "%s answers, %s\n", args[0], time.Since(began).Round(time.Microsecond))
			return nil
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", 2*time.Second, "how long to wait for the answer")
	c.Flags().StringArrayVar(&allow, "allow-host", nil, "address, prefix or name the request may reach besides loopback (repeatable)")
	return c
}
