package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/captest/captest/internal/record"
)

// A callee that works at most smallPart of what its caller waits is exonerated; one that works at least largePart of it is whose
// time it is. Between them it is both's.
const (
	smallPart = 1.0 / 3
	largePart = 2.0 / 3
	// noTime is a call, in ms, in which nobody's part can be told from scheduling and transfer.
	noTime = 5
	// mostDirectErrors, in percent, of a test whose times are those of the answers asked for.
	mostDirectErrors = 5
)

// hopTable lists who calls whom, from the entry inward, and whose time each call is; last come services that requests were sent
// straight at and that nobody shows to call.
func (s *sight) hopTable() []record.Hop {
	var out []record.Hop
	if entry, ok := s.entry(); ok {
		out = append(out, s.hop("captest", entry))
	}
	called := map[string]bool{}
	for _, from := range s.index.services {
		for _, to := range s.calls(from) {
			if h := s.hop(from, to); h.Alone != nil || h.Best != nil || h.Overload != nil {
				out = append(out, h)
				called[to] = true
			}
		}
	}
	for _, t := range s.tests {
		if t.Name == record.TestTiers && t.Skipped == "" && t.Where != "" && !called[t.Where] {
			called[t.Where] = true
			out = append(out, s.hop("", t.Where))
		}
	}
	return out
}

// entry is the service that journeys of one step arrive at: nobody calls it, and it answers as many requests as there are journeys.
func (s *sight) entry() (string, bool) {
	if len(s.run.Info.Steps) != 1 || s.best.GoodputPerSecond <= 0 {
		return "", false
	}
	w := s.loads[0].window
	for _, name := range s.index.services {
		if slices.ContainsFunc(s.index.services, func(from string) bool { return slices.Contains(s.calls(from), name) }) {
			continue
		}
		n, _, ok := s.served(w, name)
		span, known := w.span(name)
		if rate := n / span; ok && known && rate > 0.7*s.best.GoodputPerSecond && rate < 1.4*s.best.GoodputPerSecond {
			return name, true
		}
	}
	return "", false
}

// hop measures one call under the three loads and gives the verdict. from "" is unknown.
func (s *sight) hop(from, to string) record.Hop {
	h := record.Hop{Caller: from, Callee: to, Direct: s.direct(to)}
	if from != "" {
		if s.lone != nil && s.lone.trial.Load.Users == 1 {
			h.Alone = s.times(*s.lone, from, to)
		} else if t := s.best; t.Load.Users == 1 {
			h.Alone = s.times(s.loads[0], from, to)
		}
		h.Best = s.times(s.loads[0], from, to)
		for _, l := range s.loads[1:] {
			if l.trial.Phase == "overload" {
				h.Overload = s.times(l, from, to)
				break
			}
		}
	}
	s.judge(&h)
	return h
}

// times are both sides of a call under a load; nil when the caller's is not known.
func (s *sight) times(l load, from, to string) *record.HopTimes {
	t := &record.HopTimes{Load: l.trial.Load}
	if from == "captest" {
		if l.trial.Latency.MeanMs == nil || !finite(*l.trial.Latency.MeanMs) {
			return nil
		}
		ms := *l.trial.Latency.MeanMs
		t.CallerMs = &ms
	} else {
		c, ok := l.call(from, to)
		if !ok {
			return nil
		}
		// The call's own duration leaves the wait for a permit out; its caller waits for that too.
		permit, _ := l.delta(from, "semaphore_wait_seconds_total", label("downstream", to))
		queue, wait := 1000*(permit/c.calls+c.pool), 1000*(permit/c.calls+c.seconds)
		if !finite(wait) || !finite(queue) {
			return nil
		}
		t.CallerMs, t.QueueMs = &wait, &queue
	}
	if n, sum, ok := s.served(l.window, to); ok && n > 0 {
		if ms := 1000 * sum / n; finite(ms) {
			t.CalleeMs = &ms
		}
	}
	return t
}

// requestSeconds are histograms of a service's own requests, by the libraries that name them so, and the label that has the route.
var requestSeconds = []struct{ name, route string }{
	{"http_request_duration_seconds", "route"},
	{"http_request_duration_seconds", "handler"}, // FastAPI instrumentators
	{"http_server_requests_seconds", "uri"},      // Micrometer
	{"http_server_request_duration_seconds", "http_route"},
}

// served is how many requests a service answered within a window, and the seconds they took by its own account; health checks
// and scrapes are left out.
func (s *sight) served(w window, service string) (n, seconds float64, ok bool) {
	for _, m := range requestSeconds {
		routes := s.index.values(service, m.name+"_count", m.route)
		for _, r := range routes {
			if aside(r) {
				continue
			}
			k, known := w.delta(service, m.name+"_count", label(m.route, r))
			t, summed := w.delta(service, m.name+"_sum", label(m.route, r))
			if !summed {
				continue
			}
			n, seconds, ok = n+k, seconds+t, ok || known
		}
		if ok && n > 0 {
			return n, seconds, true
		}
	}
	return s.timed(w, service)
}

// timed is served for a Kill Bill, whose Dropwizard timers give counts and a mean that fades over about five minutes.
func (s *sight) timed(w window, service string) (n, seconds float64, ok bool) {
	d := s.index.by[service]
	if d == nil {
		return 0, 0, false
	}
	var names []string
	for name := range d.series {
		if strings.HasPrefix(name, "kb_resource.") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		k, known := w.delta(service, name, label("stat", "count"))
		mean, measured := w.mean(service, name, label("stat", "mean"))
		if known && measured && k > 0 && mean >= 0 {
			n, seconds, ok = n+k, seconds+k*mean, true
		}
	}
	return n, seconds, ok
}

// aside says whether a route is not what journeys are about.
func aside(route string) bool {
	route = strings.ToLower(route)
	for _, word := range []string{"/health", "/ready", "/live", "/metrics", "/control"} {
		if strings.Contains(route, word) {
			return true
		}
	}
	return false
}

// direct is what was measured straight at a service; nil: nothing that can be read.
func (s *sight) direct(service string) *record.HopDirect {
	t, ok := s.test(record.TestTiers, service)
	if !ok || service == "" {
		return nil
	}
	v := func(name string) float64 { return t.Values[name] }
	d := &record.HopDirect{
		AloneMs: v("direct_r1_ms"), MeanMs: v("direct_mean_ms"), P95Ms: v("direct_p95_ms"), PerSecond: v("direct_per_second"),
		N: v("requests"), ErrorsPercent: v("errors_percent"),
	}
	for _, x := range []float64{d.AloneMs, d.MeanMs, d.P95Ms, d.PerSecond, d.N, d.ErrorsPercent, v("users")} {
		if !finite(x) || x < 0 || x > 1e12 {
			return nil // a damaged line
		}
	}
	d.Users = int(v("users"))
	if ms, known := t.Values["profiled_ms"]; known && finite(ms) && ms > 0 {
		d.ProfiledMs = &ms
		if db, known := t.Values["profiled_database_ms"]; known && finite(db) && db >= 0 {
			d.DatabaseMs = &db
		}
	}
	if d.MeanMs <= 0 || d.AloneMs <= 0 || d.Users < 1 {
		return nil
	}
	return d
}

// exonerate writes down, with what limits, that a test has ruled its downstream out. What waits in front of a service's clock, in its
// accept queue, is that service's all the same.
func (s *sight) exonerate(claims []claim) {
	for i := range s.hops {
		h := &s.hops[i]
		if h.Exonerated && slices.ContainsFunc(claims, func(c claim) bool { return c.Cause == "accept-backlog" && c.Where == h.Callee }) {
			h.Exonerated, h.Whose = false, record.WhoseBetween
			h.Verdict = strings.Replace(h.Verdict, h.Callee+" is exonerated; ", "", 1) + "; connections wait in the accept queue of " + h.Callee
		}
	}
	for i := range claims {
		c := &claims[i]
		if c.Role != SlowBecause {
			continue
		}
		for _, h := range s.hops {
			if ruled := h.Exonerated && h.Direct != nil && h.Judged == "best"; ruled && h.Callee != c.Where && !(c.Cause == "slow-downstream" && c.to == h.Callee) {
				c.notThe("slow-downstream", "%s", h.Verdict)
			}
		}
	}
}

// fastAlone says that one request at a time straight at a downstream takes a small part of what its caller waits for it with one
// user: the downstream is not slow, however long that is.
func (s *sight) fastAlone(name, to string) bool {
	d := s.direct(to)
	c, ok := s.light().call(name, to)
	return ok && d != nil && d.ErrorsPercent <= mostDirectErrors && d.AloneMs <= smallPart*1000*c.hold()
}

// straightAtDownstream: a downstream that is slow by itself is as slow for a request sent straight at it. One at a time nothing
// waits, so that a caller's queue, too much concurrency and the caller's network all predict a fast answer; as many at a time as
// its callers have there, a downstream that is only full is slow too.
func straightAtDownstream(s *sight, c *claim) []prediction {
	d := s.direct(c.to)
	if c.Cause != "slow-downstream" || d == nil || d.ErrorsPercent > mostDirectErrors {
		return nil
	}
	var out []prediction
	add := func(l load, what string, ms float64, decides bool) {
		longest := 0.0
		for _, from := range s.index.services {
			if x, ok := l.call(from, c.to); ok {
				longest = max(longest, 1000*x.hold())
			}
		}
		if longest > 0 {
			out = append(out, prediction{
				test: record.TestTiers, what: what, measured: ms, unit: "ms", met: ms >= largePart*longest, decides: decides,
				expected: fmt.Sprintf("≥ %.0f, two thirds of what its caller waits", largePart*longest),
			})
		}
	}
	add(s.light(), "one request at a time straight at "+c.to, d.AloneMs, true)
	add(s.loads[0], fmt.Sprintf("%d at a time straight at %s", d.Users, c.to), d.MeanMs, false)
	return out
}
