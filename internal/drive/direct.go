package drive

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/captest/captest/internal/record"
)

// Direct pushes the scenario's identities straight at one service behind the entry, by the steps the scenario gives for it. What
// it sends is not part of the load: it leaves no samples, and its connections are not counted as the load's. The guard and the
// ledger hold for it as for the load.
type Direct struct {
	sender   *sender
	profiled []step // the same steps, asking a Kill Bill for its own account; nil: the service is none
}

// NewDirect makes one for a service of the target.
func NewDirect(c Config, service string) (*Direct, error) {
	if c.Scenario == nil || c.Target == nil {
		return nil, fmt.Errorf("drive: no scenario or no target")
	}
	scenario, ok := c.Scenario.DirectAt(service)
	if !ok {
		return nil, fmt.Errorf("scenario %s does not say how requests are sent straight at %s (direct:)", c.Scenario.Name, service)
	}
	c.Scenario = scenario
	s, err := newSender(&c)
	if err != nil {
		return nil, err
	}
	d := &Direct{sender: s}
	if to, ok := c.Target.Find(service); ok && to.Kind == kindKillBill {
		for _, x := range s.script.steps {
			x.proto = x.proto.Clone(context.Background())
			x.proto.Header.Set(profileRequest, profileFeatures)
			x.profiled = true
			d.profiled = append(d.profiled, x)
		}
	}
	return d, nil
}

// DirectLoad is a closed load: each user begins its next journey when its last has ended.
type DirectLoad struct {
	Users int
	For   time.Duration // no journey begins after it
	Total uint64        // nor more than so many in all; 0: no bound
	Grace time.Duration // for what is in flight then; after it, it is cancelled
}

// DirectResult is what came of it. Times are of single requests, dial and TLS left out: callers inside a target keep connections.
type DirectResult struct {
	Requests   *record.Histogram // complete and right ones, and for as long as they were waited for those that were not answered
	N, Failed  uint64            // requests in all; of them: wrong, broken, or cancelled when the grace was over
	Unfinished uint64            // of Failed: cancelled
	PerSecond  float64           // complete journeys a second
	Failure    string            // how the first failed, without anything the service said: "status 401"
	Profiles   uint64            // answers in which Kill Bill told where its time went
	ProfiledMs float64           // mean of what it says such a request took
	DatabaseMs float64           // mean of its database's part
}

// hopeless is how many requests must have been answered for a load to end once more than half of them failed: nothing is learnt
// from more, and a service in distress is not pushed on.
const hopeless = 20

// profileEvery journey asks Kill Bill for its account; the first always does. Source: reference services, 5.
const profileEvery = 100

// Send holds a load. The error is what does not allow to send at all: the scenario, the guard or the ledger; a ctx that is done is
// none.
func (d *Direct) Send(ctx context.Context, load DirectLoad) (DirectResult, error) {
	requests, cut := context.WithCancel(ctx)
	defer cut()
	starts, end := context.WithTimeout(requests, load.For)
	defer end()
	r := &directRun{Direct: d, load: load, requests: requests, starts: starts, end: end, result: DirectResult{Requests: record.NewHistogram()}}
	began := time.Now()
	for i := range max(1, load.Users) {
		r.wg.Go(func() { r.user(i) })
	}
	done := make(chan struct{})
	go func() {
		r.wg.Wait()
		close(done)
	}()
	t := time.NewTimer(load.For + load.Grace)
	defer t.Stop()
	select {
	case <-done:
	case <-ctx.Done():
	case <-t.C:
	}
	cut()
	<-done
	r.rate(time.Since(began))
	return r.result, r.fatal
}

// directRun is one Send.
type directRun struct {
	*Direct
	load             DirectLoad
	requests, starts context.Context //nolint:containedctx // what requests live in, and what journeys may begin in
	end              context.CancelFunc
	wg               sync.WaitGroup
	begun            atomic.Uint64 // journeys

	mu             sync.Mutex
	result         DirectResult
	journeys       uint64
	inTime         uint64 // of them: complete before the load's end
	profile, inDao float64
	fatal          error
}

func (r *directRun) user(number int) {
	u := r.sender.user(number)
	defer u.rest()
	for r.starts.Err() == nil {
		n := r.begun.Add(1)
		if r.load.Total > 0 && n > r.load.Total {
			return
		}
		out := r.journey(u, n)
		if out.fatal != nil {
			r.fail(out.fatal)
			return
		}
		if pause := u.restAfter(out); pause > 0 {
			sleep(r.starts, pause)
		}
	}
}

// journey sends the steps; n counts from 1.
func (r *directRun) journey(u *user, n uint64) result {
	if err := u.begin(); err != nil {
		return result{fatal: err}
	}
	steps := r.sender.script.steps
	if r.profiled != nil && n%profileEvery == 1 {
		steps = r.profiled
	}
	for i := range steps {
		u.profile = ""
		out := u.send(r.requests, &steps[i], steps[i].timeout, -1, nil)
		if out.fatal != nil {
			return out
		}
		r.count(&out, u.profile)
		if out.failed() || !sleep(r.requests, steps[i].think) {
			return out
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.journeys++
	if r.starts.Err() == nil {
		r.inTime++
	}
	return result{}
}

// count adds one request.
func (r *directRun) count(out *result, profile string) {
	x := &out.sample
	waited := float64(x.ServiceTime()-int64(x.Dial)-int64(x.TLS)) / 1e6
	r.mu.Lock()
	defer r.mu.Unlock()
	d := &r.result
	d.N++
	if out.failed() {
		d.Failed++
		if d.Failure == "" {
			d.Failure = failureOf(x)
		}
		if out.canceled() {
			d.Unfinished++
		}
		if d.N >= hopeless && 2*d.Failed > d.N {
			r.end()
		}
	}
	if !out.failed() || out.canceled() || x.Error == record.ErrorTimeout {
		d.Requests.RecordMs(max(0, waited)) // of one that never came, at least so long
	}
	// What says more than captest waited for is not believed.
	if total, database, ok := parseProfile(profile); ok && !out.failed() && total <= 1.1*waited+1 {
		d.Profiles++
		r.profile, r.inDao = r.profile+total, r.inDao+database
	}
}

// failureOf is a failure in a few words of captest's own.
func failureOf(x *record.Sample) string {
	if x.Error == record.ErrorStatus {
		return fmt.Sprintf("status %d", x.Status)
	}
	return x.Error.String()
}

// rate settles what is known only at the end. Journeys that are longer than the load are counted over all of the time.
func (r *directRun) rate(took time.Duration) {
	n, over := r.inTime, min(took, r.load.For)
	if n == 0 || r.load.Total > 0 {
		n, over = r.journeys, took
	}
	if over > 0 {
		r.result.PerSecond = float64(n) / over.Seconds()
	}
	if k := float64(r.result.Profiles); k > 0 {
		r.result.ProfiledMs, r.result.DatabaseMs = r.profile/k, r.inDao/k
	}
}

func (r *directRun) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fatal == nil {
		r.fatal = err
	}
	r.end()
}

// Close ends every dial and connection. Nothing can be sent any more.
func (d *Direct) Close() { d.sender.connector.close() }
