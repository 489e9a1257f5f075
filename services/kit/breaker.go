package kit

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
)

// OpenError says that a call was not made because the circuit breaker is open.
type OpenError struct{ Downstream string }

func (e *OpenError) Error() string { return e.Downstream + ": circuit breaker open" }

// errNotCalled releases a permit that was never used; it counts neither way.
var errNotCalled = errors.New("not called")

// breaker opens after so many failures in a row and lets one call through after a while. nil never opens.
type breaker struct {
	downstream string
	steps      *gobreaker.TwoStepCircuitBreaker[struct{}]
}

func newBreaker(downstream string, failures int, open time.Duration, m *Metrics, log *slog.Logger) *breaker {
	if failures <= 0 {
		return nil
	}
	b := &breaker{downstream: downstream}
	b.steps = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        downstream,
		Timeout:     open,
		ReadyToTrip: func(c gobreaker.Counts) bool { return int(c.ConsecutiveFailures) >= failures },
		IsExcluded:  saysNothing,
		OnStateChange: func(_ string, from, to gobreaker.State) {
			log.Warn("circuit breaker", "downstream", downstream, "from", from.String(), "to", to.String())
		},
	})
	m.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "circuit_breaker_state", Help: "0 closed, 1 half-open, 2 open.",
		ConstLabels: prometheus.Labels{"downstream": downstream},
	}, func() float64 { return float64(b.steps.State()) }))
	return b
}

// saysNothing picks out the errors that are no verdict on the downstream: calls not made, waits for our own permits and
// connections, callers that went away.
func saysNothing(err error) bool {
	var busy *BusyError
	return errors.Is(err, errNotCalled) || errors.As(err, &busy) || errors.Is(err, context.Canceled)
}

func (b *breaker) isOpen() bool { return b != nil && b.steps.State() == gobreaker.StateOpen }

// Permit is the breaker's leave to make one call. It is used by one call, or given back by Release.
type Permit struct {
	once sync.Once
	done func(error)
}

// Release gives back a permit that no call used. After a call it does nothing.
func (p *Permit) Release() { p.settle(errNotCalled) }

func (p *Permit) settle(err error) {
	p.once.Do(func() {
		if p.done != nil {
			p.done(err)
		}
	})
}

func (b *breaker) allow() (*Permit, error) {
	if b == nil {
		return &Permit{}, nil
	}
	done, err := b.steps.Allow()
	if err != nil {
		return nil, &OpenError{Downstream: b.downstream}
	}
	return &Permit{done: done}, nil
}
