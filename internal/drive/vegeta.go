package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

// Vegeta is the engine on vegeta's Attacker: another sender and another stopwatch, to hold our own numbers against. It sends
// open loads of one step. Requests are made of the same script, answers are judged and errors named by the same code as in HTTP;
// vegeta's are the workers, the client, and when a request began and how long it took.
//
// vegeta forgets when a request was due. The pacer remembers, by vegeta's own sequence number, so that the response time counts
// from there as everywhere else (two arrivals that start within the same microseconds may swap).
//
// All requests share one pool of connections, as vegeta's do: users do not own theirs.
type Vegeta struct{ *HTTP }

// NewVegeta makes the engine. A scenario that it cannot send gives a *VegetaError.
func NewVegeta(c Config) (*Vegeta, error) {
	if c.Scenario != nil {
		if err := CheckVegeta(c.Scenario); err != nil {
			return nil, err
		}
	}
	e, err := NewHTTP(c)
	if err != nil {
		return nil, err
	}
	return &Vegeta{e}, nil
}

// VegetaError is a load or scenario that vegeta's Attacker has no notion of.
type VegetaError struct{ Msg string }

// Error says what.
func (e *VegetaError) Error() string { return "engine vegeta: " + e.Msg }

// Hint names the engine that can.
func (e *VegetaError) Hint() string { return "use --engine http" }

// CheckVegeta says why vegeta cannot send a scenario, or nil. The error is a *VegetaError.
func CheckVegeta(s *scenarios.Scenario) error {
	cannot := func(format string, args ...any) error {
		return &VegetaError{Msg: fmt.Sprintf("scenario "+s.Name+" "+format, args...)}
	}
	switch {
	case len(s.Setup) > 0:
		return cannot("has a setup, which vegeta's requests, having no user, cannot follow")
	case len(s.Steps) > 1:
		return cannot("has %d steps; vegeta sends one request that stands alone", len(s.Steps))
	case len(s.Steps) == 0:
		return nil // the compiler says so
	}
	switch step := &s.Steps[0]; {
	case len(step.Capture) > 0:
		return cannot("captures from answers, which vegeta's requests, having no user, cannot use")
	case step.Weight > 0:
		return cannot("has a step with a weight; vegeta sends the one request it is given")
	case step.Timeouts != scenarios.Timeouts{}:
		return cannot("has timeouts of connecting or of the first byte; vegeta knows one for the whole exchange")
	case step.Think > 0:
		return cannot("pauses after its step; vegeta's requests have no user who could")
	}
	return nil
}

// Drive implements Engine, for open loads.
func (e *Vegeta) Drive(ctx context.Context, load Load, rec *record.Recorder) (Tally, error) {
	switch {
	case load.Users > 0 || load.Ramp != nil:
		return Tally{}, &VegetaError{Msg: "sends open loads alone (a rate), not users"}
	case load.Control != nil:
		return Tally{}, &VegetaError{Msg: "cannot change a load while it runs"}
	case load.Connections > 0:
		return Tally{}, &VegetaError{Msg: "has no notion of arrivals that wait for a connection"}
	}
	return e.drive(ctx, load, rec, func(r *run) { r.attack() })
}

// attack has vegeta send the plan. An Attacker is used once: when an attack ends its stop channel is closed for good.
func (r *run) attack() {
	users := r.idle()
	transport := r.connector.transport()
	transport.MaxIdleConnsPerHost = users.limit
	p := newPacer(r, users.limit)
	a := &attack{run: r, step: &r.script.steps[0], users: users, pacer: p, hits: &hits{run: r, transport: transport, step: &r.script.steps[0]}}
	attacker := vegeta.NewAttacker(
		vegeta.Client(&http.Client{
			Transport: a.hits,
			// No redirects are followed, the status is what it is.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
		vegeta.Workers(1), vegeta.MaxWorkers(uint64(users.limit)),
	)
	results := attacker.Attack(a.target, p, 0, "")
	r.wg.Go(func() {
		defer func() {
			r.connector.resting.Store(true)
			transport.CloseIdleConnections()
		}()
		for res := range results { // closed when the last worker has ended; until taken, a result holds its worker
			a.take(res)
		}
	})
	select {
	case <-p.over:
	case <-r.ctx.Done():
	}
}

// attack is one Attack: it makes vegeta's targets, and samples of vegeta's results.
type attack struct {
	*run
	step  *step
	users *idleUsers
	pacer *pacer
	hits  *hits
}

// target is a vegeta.Targeter. Workers call it; an error ends the attack.
func (a *attack) target(t *vegeta.Target) error {
	u := a.users.take()
	if u == nil {
		return a.refuse(errors.New("drive: vegeta started more requests than it was paced for"))
	}
	if err := u.begin(); err != nil {
		return a.refuse(err)
	}
	r, err := u.build(a.ctx, a.step)
	if err != nil {
		return a.refuse(stepError(a.step, err))
	}
	t.Method, t.URL, t.Header = r.Method, r.URL.String(), r.Header.Clone()
	if r.Host != r.URL.Host {
		t.Header.Set("Host", r.Host) // where vegeta looks for it
	}
	if r.ContentLength > 0 {
		t.Body = bytes.Clone(u.written) // the user may be at its next request while this one is still being sent
	}
	t.Header.Set(hitHeader, a.hits.add(u))
	return nil
}

// refuse ends the load with an error that is not the target's.
func (a *attack) refuse(err error) error {
	a.fail(err)
	return err
}

// take makes a result a sample. Timestamp and Latency are vegeta's, the rest is what our side of its client saw.
func (a *attack) take(res *vegeta.Result) {
	intended := a.pacer.due(res.Seq)
	h := a.hits.take(res.Seq)
	if h == nil { // it never came to a request
		a.refuse(stepError(a.step, errors.New(res.Error))) // keeps the targeter's own error, which came first
		return
	}
	defer h.cancel()
	started := a.clock.At(res.Timestamp)
	u, shard := h.user, a.rec.Shard(h.user.number)
	out := result{sample: record.Sample{
		Intended: intended, Started: started, Done: started + int64(res.Latency), Step: a.step.index,
		Status: uint16(h.status), BytesIn: uint32(h.n),
	}}
	u.sent = started
	shard.Lag(started - intended)
	u.answer = res.Body
	switch {
	case h.err != nil:
		out.sample.Error, out.detail = h.class, describe(h.class, h.err)
	case res.Code == 0: // vegeta's client would not have it: a Location that is no URL
		out.sample.Error, out.detail = record.ErrorProtocol, clip(res.Error)
	default:
		header := scenarios.HTTPHeader(h.header)
		out.sample.Flags |= turnedAway(h.status, header)
		out.sample.Error, out.detail = u.judge(a.step, h.status, header)
	}
	u.settle(a.step, &out, h.err, shard)
	a.account(out)
	u.answer = nil // vegeta's, and as large as the answer
	a.users.put(u)
	a.pacer.done()
}
