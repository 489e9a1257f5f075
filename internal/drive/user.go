package drive

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// user is one virtual user. It has its own connections, cookies and captured values, and the memory it sends with; one
// goroutine at a time runs it.
//
// What setup captured and the cookies it was given stay for all of the user's journeys. What a journey captures is gone with
// the journey, its cookies too: the next journey is another person, or the same one coming back.
type user struct {
	with      *sender
	number    int
	transport *http.Transport

	trace   *trace
	parent  context.Context //nolint:containedctx // what traced was made from
	traced  context.Context //nolint:containedctx // reports to trace; made once, not for each request
	answer  []byte          // of the last answer, its body or the beginning of it
	made    []byte          // text of the journey's own data and captures; values point into it
	written []byte          // the last request's body
	text    []byte          // any other template's text
	body    scenarios.Body
	profile string // of the last answer to a profiled step

	values   scenarios.Values
	source   *rand.PCG
	ready    bool              // setup is done
	kept     map[string]string // captured by setup
	setupJar *cookiejar.Jar    // nil: no cookies
	jar      *cookiejar.Jar

	waited bool  // making the journey's data had to wait for the ledger
	sent   int64 // start of its last request, ns since the run began
	misses int   // journeys that failed at once, in a row
	queued bool  // its journey's arrival had to wait for a user: what it is late by is not this machine's lag
}

// sender is what all users of an engine share.
type sender struct {
	script    *script
	connector *connector
	identity  *Identity
	env       func(string) string
	clock     record.Clock
	examples  *examples // nil: none are kept
}

func (s *sender) user(number int) *user {
	u := s.person(number)
	u.transport = s.connector.transport()
	return u
}

// person is a user without a way to send.
func (s *sender) person(number int) *user {
	u := &user{with: s, number: number, source: rand.NewPCG(0, 0), sent: -1}
	u.values = scenarios.Values{User: number, Vars: map[string]string{}, Rand: rand.New(u.source), Env: s.env}
	return u
}

// result of one request, or of the journey it ended.
type result struct {
	sample record.Sample
	detail string // of a failure, for people
	// fatal ends the load: the scenario, the guard or the ledger does not allow to go on.
	fatal error
}

func (r *result) failed() bool   { return r.sample.Error != record.ErrorNone || r.fatal != nil }
func (r *result) canceled() bool { return r.sample.Error == record.ErrorCanceled }

// begin makes the data of a new journey. Journey n of a seed is the same whoever runs it and whenever.
func (u *user) begin() error {
	n, waited, err := u.with.identity.number()
	if err != nil {
		return err
	}
	u.waited = waited
	u.made = u.with.identity.appendUnique(u.made[:0], n)
	u.values.N, u.values.Unique = n, view(u.made)
	u.source.Seed(u.with.identity.Seed(), n)
	if len(u.values.Vars) > 0 {
		clear(u.values.Vars)
	}
	if len(u.kept) > 0 {
		maps.Copy(u.values.Vars, u.kept)
	}
	u.jar = nil
	if u.with.script.table != nil {
		u.values.Row = u.with.script.table.Row(n)
	}
	return u.fields(u.with.script.data)
}

// prepare runs setup once, outside every measurement: its requests leave no samples. A failure is told, and setup is tried
// again before the user's next journey.
func (u *user) prepare(ctx context.Context) result {
	if u.ready {
		return result{}
	}
	clear(u.values.Vars)
	u.jar, u.setupJar = nil, nil
	if len(u.with.script.setup) > 0 {
		if err := u.begin(); err != nil {
			return result{fatal: err}
		}
	}
	for i := range u.with.script.setup {
		s := &u.with.script.setup[i]
		if out := u.send(ctx, s, s.timeout, -1, nil); out.failed() {
			return out
		}
		if !sleep(ctx, s.think) {
			return result{sample: record.Sample{Error: record.ErrorCanceled}}
		}
	}
	u.prepared()
	return result{}
}

// prepared keeps what setup gave for all journeys of the user.
func (u *user) prepared() {
	if len(u.with.script.setup) > 0 {
		u.kept = make(map[string]string, len(u.values.Vars))
		for name, value := range u.values.Vars {
			u.kept[name] = strings.Clone(value) // the journey's own memory is used again
		}
		u.setupJar, u.jar = u.jar, nil
	}
	u.ready = true
}

// send performs one step and gives its sample, which shard (unless nil) has counted. intended < 0 means now.
func (u *user) send(ctx context.Context, s *step, timeout time.Duration, intended int64, shard *record.Shard) result {
	traced := u.tracing(ctx)
	request, cancel := context.WithTimeout(traced, timeout)
	defer cancel()
	w := waits{connect: s.timeouts.Connect, firstByte: s.timeouts.FirstByte}
	if w.firstByte > 0 {
		request, w.giveUp = context.WithCancelCause(request)
		defer w.giveUp(nil)
	}
	r, err := u.build(request, s)
	if err != nil {
		return result{fatal: stepError(s, err)}
	}
	u.trace.begin(request, w)
	now := u.with.clock.Now()
	if intended < 0 {
		intended = now
	}
	u.sent = now
	if shard != nil {
		shard.Begin(now)
	}
	out := result{sample: record.Sample{Intended: intended, Started: now, Step: s.index}}
	out.sample.Error, out.detail, err = u.exchange(ctx, request, r, s, &out.sample)
	out.sample.Done = u.with.clock.Now()
	u.settle(s, &out, err, shard)
	return out
}

// settle ends a request whose outcome is known: what the trace saw, the count, and an example when it failed. err is what broke it.
func (u *user) settle(s *step, out *result, err error, shard *record.Shard) {
	seen, reusable := u.trace.end(out.sample.Error)
	out.note(seen)
	if err != nil || !reusable || !seen.reused {
		u.trace = nil // something may still report to it
	}
	if refused := (*targets.RefusedError)(nil); errors.As(err, &refused) {
		out.fatal = stepError(s, refused)
	}
	if shard != nil {
		shard.Add(out.sample)
	}
	if out.failed() && !out.canceled() {
		u.with.examples.add(s.name, out.sample.Error, out.detail, u.excerpt(out.sample.Error))
	}
}

// exchange sends the request and takes the answer. err is what broke it; an answer that is merely wrong is no err.
func (u *user) exchange(run, request context.Context, r *http.Request, s *step, sample *record.Sample) (record.ErrorClass, string, error) {
	// RoundTrip, not Client.Do: no redirects are followed, the status is what it is.
	resp, err := u.transport.RoundTrip(r)
	if err != nil {
		class, detail := broken(err, run, request)
		return class, detail, err
	}
	if resp.Close {
		u.trace.announced()
	}
	sample.Status = uint16(resp.StatusCode)
	if s.profiled {
		u.profile = resp.Header.Get(profileAnswer)
	}
	n, err := u.read(resp.Body, s.whole)
	sample.BytesIn = uint32(n)
	_ = resp.Body.Close() // what could fail has failed in read
	if err != nil {
		class, detail := broken(err, run, request)
		return class, detail, err
	}
	u.keepCookies(r.URL, resp)
	header := scenarios.HTTPHeader(resp.Header)
	sample.Flags |= turnedAway(resp.StatusCode, header)
	class, detail := u.judge(s, resp.StatusCode, header)
	return class, detail, nil
}

// note fills in what the trace saw.
func (out *result) note(seen facts) {
	x := &out.sample
	x.Connected, x.Wrote, x.FirstByte = seen.connected, seen.wrote, seen.firstByte
	x.Dial, x.TLS, x.Wait = seen.dial, seen.tls, max(seen.wait, 0)
	switch {
	case seen.connected > 0 && seen.reused:
		x.Flags |= record.Reused
	case seen.connected > 0:
		x.Flags |= record.NewConn
	}
	if x.Error == record.ErrorTimeout {
		x.Flags |= record.TimedOut
	}
}

// tracing gives a context that reports to u.trace.
func (u *user) tracing(ctx context.Context) context.Context {
	if u.trace == nil {
		u.trace, u.parent = newTrace(u.with.clock), nil
	}
	if u.parent != ctx {
		u.parent, u.traced = ctx, u.trace.within(ctx)
	}
	return u.traced
}

// cookies for a URL, the journey's own before setup's.
func (u *user) cookies(to *url.URL) []*http.Cookie {
	if u.jar == nil && u.setupJar == nil {
		return nil
	}
	var all []*http.Cookie
	seen := map[string]bool{}
	for _, jar := range []*cookiejar.Jar{u.jar, u.setupJar} {
		if jar == nil {
			continue
		}
		for _, c := range jar.Cookies(to) {
			if !seen[c.Name] {
				seen[c.Name] = true
				all = append(all, c)
			}
		}
	}
	return all
}

// keepCookies takes those the answer sets. Most targets set none, so that the jar is made on demand.
func (u *user) keepCookies(from *url.URL, resp *http.Response) {
	if len(resp.Header["Set-Cookie"]) == 0 {
		return
	}
	if u.jar == nil {
		u.jar, _ = cookiejar.New(nil) // fails on no options
	}
	u.jar.SetCookies(from, resp.Cookies())
}

// excerpt is the beginning of an answer that was not the expected one.
func (u *user) excerpt(class record.ErrorClass) []byte {
	if class != record.ErrorStatus && class != record.ErrorCheck {
		return nil
	}
	return u.answer
}

// rest ends what the user has open; its next request dials anew.
func (u *user) rest() {
	u.transport.CloseIdleConnections()
	u.trace = nil // the next load may come with another recorder's clock
}

// sleep waits; false when ctx was done before.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// StepError is a step that cannot be sent at all; it ends the load.
type StepError struct {
	Step string
	Err  error
}

func stepError(s *step, err error) error { return &StepError{Step: s.name, Err: err} }

// Error names the step.
func (e *StepError) Error() string { return "step " + e.Step + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *StepError) Unwrap() error { return e.Err }

// Hint is the cause's own, if it has one.
func (e *StepError) Hint() string {
	var hinted interface{ Hint() string }
	if errors.As(e.Err, &hinted) {
		return hinted.Hint()
	}
	return "see what would be sent: captest plan"
}
