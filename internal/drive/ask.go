package drive

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

// Asked is the answer to one request of a test. A test's requests carry data of their own, as the load's do, and are counted
// nowhere else.
type Asked struct {
	Took   time.Duration // until the last byte; of a burst from the instant of its release
	Dial   time.Duration // 0: the connection was open already
	Status int           // 0: no answer
	Class  record.ErrorClass
}

// OK says whether the answer was what the scenario expects.
func (a *Asked) OK() bool { return a.Class == record.ErrorNone }

func asked(out *result, from int64) Asked {
	x := &out.sample
	a := Asked{Took: time.Duration(x.Done - from), Status: int(x.Status), Class: x.Error}
	if x.Flags&record.Reused == 0 {
		a.Dial = time.Duration(x.Dial + x.TLS)
	}
	if out.fatal != nil && x.Error == record.ErrorNone {
		a.Class = record.ErrorOther
	}
	return a
}

// Burst sends the scenario's first step n times at the same instant, each on a connection of its own that a GET of path has opened
// before. Each may take timeout. The error is for what could not be sent, an ended ctx among it.
func (p *Prober) Burst(ctx context.Context, n int, path string, timeout time.Duration) ([]Asked, error) {
	s := &p.sender.script.steps[0]
	opener, err := p.opener(path)
	if err != nil {
		return nil, err
	}
	users := make([]*user, n)
	for i := range users {
		users[i] = p.sender.user(i)
		defer users[i].rest()
	}
	ready := make([]result, n)
	var wg sync.WaitGroup
	for i, u := range users {
		wg.Go(func() {
			if ready[i] = u.prepare(ctx); ready[i].failed() {
				return
			}
			u.send(ctx, &opener, min(timeout, opener.timeout), -1, nil) // whatever it is answered, the connection is open
			if err := u.begin(); err != nil {
				ready[i].fatal = err
			}
		})
	}
	wg.Wait()
	for i := range ready {
		if ready[i].fatal != nil {
			return nil, ready[i].fatal
		}
	}
	out := ready // a user whose setup failed has had its answer
	release := make(chan struct{})
	for i, u := range users {
		if ready[i].failed() {
			continue
		}
		wg.Go(func() {
			<-release
			out[i] = u.send(ctx, s, min(timeout, s.timeout), -1, nil)
		})
	}
	at := p.sender.clock.Now()
	close(release)
	wg.Wait()
	var answers []Asked
	for i := range out {
		if out[i].fatal != nil {
			return nil, out[i].fatal
		}
		answers = append(answers, asked(&out[i], at))
	}
	return answers, context.Cause(ctx)
}

// opener is a GET of a path at the first step's service.
func (p *Prober) opener(path string) (step, error) {
	from := scenarios.Step{
		Name: "open", Service: p.config.Scenario.Steps[0].Service,
		Request: scenarios.Request{Method: http.MethodGet, Path: scenarios.Literal(path)},
	}
	return compileStep(&from, p.config.Target, p.config.Headers)
}

// Empty sends the scenario's first step with an empty JSON object in place of its body, on a kept connection: input that a service
// which validates refuses at once. ok is false where the step has no JSON body.
func (p *Prober) Empty(ctx context.Context, timeout time.Duration) (answer Asked, ok bool, err error) {
	from := p.config.Scenario.Steps[0]
	if from.Request.JSON == nil {
		return Asked{}, false, nil
	}
	from.Request.JSON, from.Expect, from.Capture = scenarios.Literal("{}"), scenarios.Expect{}, nil
	s, err := compileStep(&from, p.config.Target, p.config.Headers)
	if err != nil {
		return Asked{}, false, err
	}
	k := p.keeper(keptKey{"empty", from.Service})
	k.mu.Lock()
	defer k.mu.Unlock()
	if out := k.user.prepare(ctx); out.failed() {
		return asked(&out, out.sample.Started), true, out.fatal
	}
	if err := k.user.begin(); err != nil {
		return Asked{}, true, err
	}
	out := k.user.send(ctx, &s, min(choose(timeout, s.timeout), s.timeout), -1, nil)
	if out.fatal != nil {
		return Asked{}, true, out.fatal
	}
	return asked(&out, out.sample.Started), true, context.Cause(ctx)
}

// Sharing is how the users of a crowd come by their connections.
type Sharing string

// Ways of sharing.
const (
	KeptConnections  Sharing = "kept"   // each has one of its own, and keeps it
	FreshConnections Sharing = "fresh"  // each opens one for each request
	OneConnection    Sharing = "shared" // all have the same, in HTTP/2
)

// CrowdSums are what a crowd's requests came to.
type CrowdSums struct {
	OK, Failed uint64          // answered within the length
	Seconds    float64         // in which they were: the length, or until the last answer where there were no requests left
	Mean       time.Duration   // of all that succeeded, also after the length
	Dials      []time.Duration // in order of length; the first few hundred
	Statuses   map[int]uint64
	Sent       CrowdSent
}

// CrowdSent is all that a crowd asked for, users who could not begin and answers after the length among it.
type CrowdSent struct{ Requests, Failed, TimedOut uint64 } // of Requests; of Failed

// add counts one request.
func (c *CrowdSent) add(class record.ErrorClass) {
	c.Requests++
	if class != record.ErrorNone {
		c.Failed++
	}
	if class == record.ErrorTimeout {
		c.TimedOut++
	}
}

// mostDials are remembered of a crowd.
const mostDials = 500

// Crowd is a small closed load of the first step: users who ask again as soon as they have been answered, for so long or until most
// requests have been sent, whichever is first; a request may take ten seconds more. All users have been set up before its time
// begins, and one that fails at once pauses as in any closed load. It is a test's load: no recorder counts it, so it must be one the
// target carries.
func (p *Prober) Crowd(ctx context.Context, users int, how Sharing, length time.Duration, most uint64) (CrowdSums, error) {
	shared := p.sender.connector.transport()
	defer shared.CloseIdleConnections()
	c := &crowd{step: &p.sender.script.steps[0], how: how, length: length, most: most, sums: CrowdSums{Statuses: map[int]uint64{}}}
	all := make([]*user, users)
	var wg sync.WaitGroup
	for i := range all {
		u := p.sender.user(i)
		if how == OneConnection {
			u.transport = shared
		}
		defer u.rest()
		wg.Go(func() {
			if out := u.prepare(ctx); out.failed() {
				c.lost(&out)
				return
			}
			all[i] = u
		})
	}
	wg.Wait()
	c.began = time.Now()
	starts, end := context.WithTimeout(ctx, length)
	defer end()
	if c.fatal != nil {
		return c.settled(), c.fatal
	}
	for _, u := range all {
		if u != nil {
			wg.Go(func() { c.user(ctx, starts, u) })
		}
	}
	wg.Wait()
	return c.settled(), cmp.Or(c.fatal, context.Cause(ctx))
}

// crowd is one Crowd.
type crowd struct {
	step    *step
	how     Sharing
	length  time.Duration
	most    uint64
	began   time.Time
	claimed atomic.Uint64

	mu    sync.Mutex
	sums  CrowdSums
	total time.Duration // of those that succeeded
	good  uint64
	last  time.Duration // answer within the length
	fatal error
}

// user asks until starts is over.
func (c *crowd) user(ctx, starts context.Context, u *user) {
	for starts.Err() == nil && time.Since(c.began) < c.length && c.claimed.Add(1) <= c.most {
		if c.how == FreshConnections {
			u.rest()
		}
		if err := u.begin(); err != nil {
			c.lost(&result{fatal: err})
			return
		}
		out := u.send(ctx, c.step, min(c.step.timeout, c.length+10*time.Second), -1, nil)
		if out.fatal != nil {
			c.lost(&out)
			return
		}
		c.count(asked(&out, out.sample.Started))
		sleep(starts, u.restAfter(out))
	}
}

// lost is a user who cannot begin, or go on.
func (c *crowd) lost(out *result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if out.fatal != nil {
		c.fatal = errors.Join(c.fatal, out.fatal)
		return
	}
	c.sums.Failed++
	c.sums.Sent.add(out.sample.Error)
}

func (c *crowd) count(a Asked) {
	at := time.Since(c.began)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.sums
	s.Sent.add(a.Class)
	s.Statuses[a.Status]++
	if a.OK() {
		c.total, c.good = c.total+a.Took, c.good+1
	}
	if a.Dial > 0 && len(s.Dials) < mostDials {
		s.Dials = append(s.Dials, a.Dial)
	}
	if at > c.length {
		return
	}
	c.last = max(c.last, at)
	if a.OK() {
		s.OK++
	} else {
		s.Failed++
	}
}

// settled are the sums once all users are done.
func (c *crowd) settled() CrowdSums {
	c.sums.Seconds = c.length.Seconds()
	if c.claimed.Load() >= c.most && c.last > 0 {
		c.sums.Seconds = c.last.Seconds()
	}
	if c.good > 0 {
		c.sums.Mean = c.total / time.Duration(c.good)
	}
	slices.Sort(c.sums.Dials)
	return c.sums
}

// Multiplexes says whether HTTP/2 is spoken, so that many requests can share a connection.
func (p *Prober) Multiplexes() bool { return p.config.HTTP == HTTP2 || p.config.HTTP == H2C }
