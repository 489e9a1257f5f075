package userservice

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/captest/captest/services/kit"
)

// settleBatch bounds what one look of the settler takes on.
const settleBatch = 100

// settling is the background half of the undo: it undoes registrations that stayed pending, and has billing close the
// account of each customer that was undone.
type settling struct {
	customers customers
	billing   billing
	after     time.Duration
	settler   *kit.Settler

	unsettled prometheus.Gauge
	settled   *prometheus.CounterVec // outcome
}

func newSettling(c Config, t customers, m *kit.Metrics) (*settling, error) {
	client, err := kit.NewSettlerClient("billing", c.Billing, c.Log)
	if err != nil {
		return nil, err
	}
	s := &settling{
		customers: t, billing: billing{client}, after: c.Knobs.SettleAfter(),
		unsettled: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "registrations_unsettled", Help: "Registrations pending for longer than settle_after, and undone ones whose account billing has not confirmed closed; as of the settler's last look.",
		}),
		settled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "registrations_settled_total", Help: "Undone registrations that billing confirmed, those that were found left pending, and attempts at billing that failed.",
		}, []string{"outcome"}),
	}
	m.Registry.MustRegister(s.unsettled, s.settled)
	for _, outcome := range []string{"confirmed", "left_pending", "failed"} {
		s.settled.WithLabelValues(outcome) // shown as 0 before the first one
	}
	s.settler = kit.NewSettler(s.after, c.Log, s.look)
	return s, nil
}

func (s *settling) close() {
	if s != nil { // New failed half way
		s.settler.Close()
		s.billing.client.Close()
	}
}

// look settles a batch. An error means that billing or the store does not answer.
func (s *settling) look(ctx context.Context) error {
	stale := time.Now().Add(-s.after)
	n, err := s.customers.unsettled(ctx, stale)
	if err != nil {
		return err
	}
	s.unsettled.Set(float64(n))
	if n == 0 { // the rule: one read, no write, no connection to billing
		return nil
	}
	left, err := s.customers.undoStale(ctx, stale, settleBatch)
	if err != nil {
		return err
	}
	s.settled.WithLabelValues("left_pending").Add(float64(left))
	owed, err := s.customers.owed(ctx, settleBatch)
	if err != nil {
		return err
	}
	var failed error
	for _, id := range owed {
		if err := s.billing.closeAccount(ctx, id); err != nil {
			s.settled.WithLabelValues("failed").Inc()
			failed = errors.Join(failed, err)
			var status *kit.StatusError
			if errors.As(err, &status) && status.Status < 500 {
				continue // about this one; the others may do better
			}
			break
		}
		if err := s.customers.settle(ctx, id); err != nil {
			failed = errors.Join(failed, err)
			break
		}
		s.settled.WithLabelValues("confirmed").Inc()
	}
	if n, err = s.customers.unsettled(ctx, stale); err == nil {
		s.unsettled.Set(float64(n))
	}
	return errors.Join(failed, err)
}

// unsettled counts customers pending since before stale and those undone.
func (t customers) unsettled(ctx context.Context, stale time.Time) (n int, err error) {
	err = t.db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM undone)
		+ (SELECT count(*) FROM customers WHERE state = 'pending' AND created_at <= ?)`, stale.UnixMilli()).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("customers: %w", err)
	}
	return n, nil
}

// undoStale undoes at most limit customers that have been pending since before stale, and says how many. The DELETE comes
// first: it locks the rows, so that an activation under way sees either its row or none.
func (t customers) undoStale(ctx context.Context, stale time.Time, limit int) (n int, err error) {
	now := time.Now()
	err = inTx(ctx, t.db, func(tx *kit.Tx) error {
		ids, err := texts(tx.QueryContext(ctx, `DELETE FROM customers WHERE state = 'pending' AND id IN
			(SELECT id FROM customers WHERE state = 'pending' AND created_at <= ? ORDER BY created_at LIMIT ?) RETURNING id`,
			stale.UnixMilli(), limit))
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := owe(ctx, tx, id, now); err != nil {
				return err
			}
		}
		n = len(ids)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("undo what is pending: %w", err)
	}
	return n, nil
}

// owe writes down that billing is to close a customer's account.
func owe(ctx context.Context, tx *kit.Tx, id string, now time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO undone (customer_id, since) VALUES (?, ?) ON CONFLICT (customer_id) DO NOTHING`, id, now.UnixMilli())
	return err
}

// owed gives at most limit undone customers, oldest first.
func (t customers) owed(ctx context.Context, limit int) ([]string, error) {
	return texts(t.db.QueryContext(ctx, `SELECT customer_id FROM undone ORDER BY since LIMIT ?`, limit))
}

// settle forgets an undone customer: billing has confirmed.
func (t customers) settle(ctx context.Context, id string) error {
	_, err := t.db.ExecContext(ctx, `DELETE FROM undone WHERE customer_id = ?`, id)
	return err
}

// texts reads a result of one text column.
func texts(rows *sql.Rows, err error) (all []string, _ error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}
