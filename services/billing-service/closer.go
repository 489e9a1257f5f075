package billingservice

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/captest/captest/services/kit"
)

const (
	// closeBatch bounds what one look of the closer takes on.
	closeBatch = 50
	// lateCreate is how long the closer keeps looking for an account that was not there, ever more seldom: Kill Bill may
	// hold a create it was sent before this service died, and nothing but time can rule that out.
	lateCreate = time.Hour
)

// underWay holds the customers whose account this process is opening: one create for each at a time, and the closer does
// not take a row for left behind, nor an account for missing, while its create runs.
type underWay struct {
	mu   sync.Mutex
	ends map[string]chan struct{} // by customer; closed when its create has ended
}

func newUnderWay() *underWay { return &underWay{ends: map[string]chan struct{}{}} }

// claim waits its turn to open a customer's account; release ends it.
func (u *underWay) claim(ctx context.Context, customer string) (release func(), err error) {
	for {
		u.mu.Lock()
		end, taken := u.ends[customer]
		if !taken {
			end = make(chan struct{})
			u.ends[customer] = end
			u.mu.Unlock()
			return func() {
				u.mu.Lock()
				delete(u.ends, customer)
				u.mu.Unlock()
				close(end)
			}, nil
		}
		u.mu.Unlock()
		if err := wait(ctx, end); err != nil {
			return nil, err
		}
	}
}

func wait(ctx context.Context, end <-chan struct{}) error {
	defer kit.Await(ctx)()
	select {
	case <-end:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (u *underWay) has(customer string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ends[customer] != nil
}

// closing closes, in the background, the accounts that are not to stay.
type closing struct {
	accounts accounts
	underWay *underWay
	killBill *killBill
	after    time.Duration
	settler  *kit.Settler

	unsettled prometheus.Gauge
	settled   *prometheus.CounterVec // outcome
}

func newClosing(c Config, t accounts, u *underWay, m *kit.Metrics) (*closing, error) {
	client, err := kit.NewSettlerClient("kill-bill", c.KillBill, c.Log)
	if err != nil {
		return nil, err
	}
	s := &closing{
		accounts: t, underWay: u, killBill: newKillBill(client, c.Access, c.Knobs.KillBillCalls), after: c.Knobs.SettleAfter(),
		unsettled: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "accounts_unsettled", Help: "Accounts being closed, and those opening for longer than settle_after; as of the closer's last look.",
		}),
		settled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "accounts_settled_total", Help: "Accounts closed at Kill Bill, those that turned out never to have been made, those that were found left opening, and attempts at Kill Bill that failed.",
		}, []string{"outcome"}),
	}
	m.Registry.MustRegister(s.unsettled, s.settled)
	for _, outcome := range []string{"closed", "never_made", "left_opening", "failed"} {
		s.settled.WithLabelValues(outcome) // shown as 0 before the first one
	}
	s.settler = kit.NewSettler(s.after, c.Log, s.look)
	return s, nil
}

func (s *closing) stop() {
	if s != nil { // New failed half way
		s.settler.Close()
		s.killBill.client.Close()
	}
}

// look settles a batch. An error means that Kill Bill or the store does not answer.
func (s *closing) look(ctx context.Context) error {
	due, err := s.accounts.due(ctx, closeBatch)
	if err != nil {
		return err
	}
	var failed error
	for _, a := range due {
		err := s.settle(ctx, a)
		if err == nil {
			continue
		}
		s.settled.WithLabelValues("failed").Inc()
		failed = errors.Join(failed, err)
		var status *kit.StatusError
		if !errors.As(err, &status) || status.Status >= 500 {
			break // it is in no state to be asked for the others
		}
		if err := s.accounts.postpone(ctx, a, s.after); err != nil {
			failed = errors.Join(failed, err)
			break
		}
	}
	n, err := s.accounts.unsettled(ctx)
	if err == nil {
		s.unsettled.Set(float64(n))
	}
	return errors.Join(failed, err)
}

// settle takes one row a step further.
func (s *closing) settle(ctx context.Context, a account) error {
	ctx, cancel := context.WithTimeout(ctx, kit.SettlerPatience)
	defer cancel()
	switch busy := s.underWay.has(a.customer); {
	case busy && a.killBillID == "":
		// Its create is running here and decides. It began before the row was closing (a later one is refused), so once
		// none is under way, none will be.
		return s.accounts.postpone(ctx, a, s.after)
	case a.state == stateOpening:
		if err := s.accounts.stale(ctx, a.customer, s.after); err != nil {
			return err
		}
		s.settled.WithLabelValues("left_opening").Inc()
		return nil
	}
	if err := s.killBill.tenant(ctx); err != nil {
		return err
	}
	if a.killBillID == "" {
		id, answer, err := s.killBill.find(ctx, a.customer)
		switch {
		case err != nil:
			return err
		case id != "":
			a.killBillID = id
		case code(answer) == codeNoAccountKey:
			return s.missing(ctx, a)
		default:
			return failed("get account", answer)
		}
	}
	if err := s.killBill.close(ctx, a.killBillID); err != nil {
		return err
	}
	if err := s.accounts.closed(ctx, a, 0); err != nil {
		return err
	}
	s.settled.WithLabelValues("closed").Inc()
	return nil
}

// missing ends a row whose account Kill Bill does not have, at least settle_after after the last create for it. The row
// has looked enough to count as settled, and is looked at again each time it has doubled its age, up to an hour.
func (s *closing) missing(ctx context.Context, a account) error {
	var again time.Duration
	if age := time.Since(a.since); age < lateCreate {
		again = max(age, s.after)
	}
	if err := s.accounts.closed(ctx, a, again); err != nil {
		return err
	}
	if a.state == stateClosing {
		s.settled.WithLabelValues("never_made").Inc()
	}
	return nil
}
