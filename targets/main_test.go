//go:build unix

package targets

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/captest/captest/services"
	"go.uber.org/goleak"
)

// TestMain lets the test binary be executed again as what the launcher starts, and as a captest that dies.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "serve-one":
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			err := services.RunFromEnv(ctx, os.Getenv, os.Stderr)
			stop()
			if err != nil {
				fmt.Fprintln(os.Stderr, "error:", err)
				os.Exit(1)
			}
			os.Exit(0)
		case "fake-service":
			os.Exit(fakeService(os.Args[2:]))
		case "fake-captest":
			os.Exit(fakeCaptest(os.Args[2], os.Args[3], os.Args[4:]))
		}
	}
	// The race detector lets every process sleep for a second at its end; the services' end is waited for here.
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	goleak.VerifyTestMain(m)
}
