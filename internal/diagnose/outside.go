package diagnose

import (
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/captest/captest/internal/record"
)

// outside is a run as it looks without the target's metrics: response times, failures, what tests measured, and, where the target
// shares captest's machine, its processes and sockets as the kernel sees them.
type outside struct {
	*sight
	load    load     // whose sockets and CPU are looked at
	known   bool     // the kernel was asked about the target's processes then
	path    []string // services from the one that captest asks on, along most connections
	holder  string   // the last of them that keeps requests: many come in, and few go on, or none can
	in, out map[string]float64
	cpu     map[string]float64 // cores

	coupling           float64 // rise of a trivial endpoint ÷ rise of the journeys; NaN unknown
	refusals           float64 // rise of what is refused at once ÷ rise of the journeys, the short-circuit test's; NaN unknown
	form               string  // of the burst test's staircase; "" unknown
	servers, low, high float64 // what it waits for; 0 unknown

	failed, refused, late float64            // share of all requests: that failed, with a status, by timeout
	early                 float64            // highest share that failed at any load that does not flood
	statuses              map[string]float64 // of failures with a status of 500 and more, shares of them
}

// look from outside.
func (s *sight) outside() *outside {
	o := &outside{sight: s, in: map[string]float64{}, out: map[string]float64{}, cpu: map[string]float64{}, coupling: math.NaN(), refusals: math.NaN(), statuses: map[string]float64{}}
	o.sockets()
	o.tests()
	o.failures()
	return o
}

// sockets finds the services on the way of a request and the one that keeps it.
func (o *outside) sockets() {
	i := slices.IndexFunc(o.loads, func(l load) bool {
		return slices.ContainsFunc(o.servicesSeen(), func(name string) bool { return len(o.processes(l.window, name)) >= 2 })
	})
	if i < 0 {
		return
	}
	o.load, o.known = o.loads[i], true
	called := map[string]bool{}
	for _, name := range o.servicesSeen() {
		o.in[name] = math.Max(0, o.inbound(o.load.window, name)-o.inbound(window{to: o.all.from}, name))
		o.cpu[name] = o.coresUsed(o.load.window, name)
		on := o.outbound(o.load.window, name)
		for _, to := range slices.Sorted(maps.Keys(on)) { // in order: floating-point sums depend on it
			called[to] = true
			o.out[name] += on[to]
		}
	}
	at := ""
	for _, name := range o.servicesSeen() {
		if !called[name] && (at == "" || o.in[name] > o.in[at]) {
			at = name
		}
	}
	for at != "" && !slices.Contains(o.path, at) {
		o.path = append(o.path, at)
		next, most := "", 0.0
		for to, n := range o.outbound(o.load.window, at) {
			if slices.Contains(o.servicesSeen(), to) && (n > most || n == most && to < next) {
				next, most = to, n
			}
		}
		at = next
	}
	if len(o.path) == 0 {
		return
	}
	const some = 4 // requests; fewer are those of captest's own probes, and connections that are kept and idle
	came := o.in[o.path[0]]
	for i, name := range o.path {
		in := math.Min(o.in[name], came)
		leaf := i == len(o.path)-1
		if in >= some && (leaf && in >= 0.6*came || !leaf && o.out[name] <= 0.5*in) {
			o.holder = name
		}
	}
}

// inbound is the mean of a service's established connections within a window, by the kernel.
func (s *sight) inbound(w window, name string) float64 {
	sum, n := 0.0, 0.0
	for _, p := range s.processes(w, name) {
		sum, n = sum+float64(p.Inbound["ESTABLISHED"]), n+1
	}
	return sum / math.Max(1, n)
}

// outbound is the same of those it has opened, by where they go.
func (s *sight) outbound(w window, name string) map[string]float64 {
	out, n := map[string]float64{}, 0.0
	for _, p := range s.processes(w, name) {
		n++
		for to, states := range p.Outbound {
			out[to] += float64(states["ESTABLISHED"])
		}
	}
	for to := range out {
		out[to] /= math.Max(1, n)
	}
	return out
}

// most is the highest count of a service's sockets in a state within a window: those it opened to a service, or with "" those it
// took in.
func (s *sight) most(w window, name, to, state string) float64 {
	most := 0
	for _, p := range s.processes(w, name) {
		states := p.Inbound
		if to != "" {
			states = p.Outbound[to]
		}
		most = max(most, states[state])
	}
	return float64(most)
}

// coresUsed is the CPU a service used within a window, in cores, by the kernel.
func (s *sight) coresUsed(w window, name string) float64 {
	var first, last *record.ProcessReading
	for _, p := range s.processes(w, name) {
		if p.CPUSeconds == nil {
			continue
		}
		if first == nil {
			first = p
		}
		last = p
	}
	if first == nil || last.OffsetS <= first.OffsetS {
		return 0
	}
	return math.Max(0, (*last.CPUSeconds-*first.CPUSeconds)/(last.OffsetS-first.OffsetS))
}

// resident is the highest memory of a service within a window, bytes; 0 unknown.
func (s *sight) resident(w window, name string) float64 {
	most := 0.0
	for _, p := range s.processes(w, name) {
		if p.RSSBytes != nil {
			most = math.Max(most, *p.RSSBytes)
		}
	}
	return most
}

// tests takes over what the burst and coupling tests measured; without them the health checks beside the load stand in for the second.
func (o *outside) tests() {
	if t, ok := o.test(record.TestBurst, ""); ok {
		o.form, o.servers, o.low, o.high = t.Words["form"], t.Values["servers"], t.Values["servers_low"], t.Values["servers_high"]
	}
	if t, ok := o.test(record.TestShortCircuit, ""); ok && t.Values["load_refused_ms"] > 0 {
		if rise := t.Values["load_step_ms"] - t.Values["single_ms"]; rise > 0.2*t.Values["single_ms"] {
			o.refusals = (t.Values["load_refused_ms"] - t.Values["refused_ms"]) / rise
		}
	}
	if t, ok := o.test(record.TestCoupling, ""); ok {
		if k, ok := t.Values["coupling"]; ok {
			o.coupling = k
			return
		}
	}
	if o.lone == nil || o.best.Latency.MeanMs == nil || o.lone.trial.Latency.MeanMs == nil {
		return
	}
	idle, n1 := o.health(window{from: 0, to: o.all.from})
	busy, n2 := o.health(window{from: o.loads[0].from, to: o.loads[0].to})
	for _, l := range o.loads[1:] {
		if n2 < 5 {
			busy, n2 = o.health(l.window)
		}
	}
	if rise := *o.best.Latency.MeanMs - *o.lone.trial.Latency.MeanMs; n1 >= 5 && n2 >= 5 && rise > 0 {
		o.coupling = (busy - idle) / rise
	}
}

// failures are how requests ended that did not succeed, but for those of clients that captest itself made give up.
func (o *outside) failures() {
	n, bad, status, aborting := 0.0, 0.0, 0.0, false
	for i := range o.run.Frames {
		f := &o.run.Frames[i]
		if f.Trial >= 0 {
			aborting = f.Phase == "abort"
		}
		if aborting {
			continue
		}
		for _, st := range f.Steps {
			if st == nil {
				continue
			}
			n += float64(st.N)
			bad += float64(st.N - min(st.N, st.OK))
			o.refused += float64(st.Errors[record.ErrorStatus.String()])
			o.late += float64(st.Errors[record.ErrorTimeout.String()])
			for code, k := range st.Status {
				if c, err := strconv.Atoi(code); err == nil && c >= 500 {
					o.statuses[code] += float64(k)
					status += float64(k)
				}
			}
		}
	}
	n = math.Max(1, n)
	o.failed, o.refused, o.late = bad/n, o.refused/n, o.late/n
	for code := range o.statuses {
		o.statuses[code] /= math.Max(1, status)
	}
	for i := range o.res.Trials {
		if t := &o.res.Trials[i]; t.ErrorPercent != nil && !pressing(t.Phase) && !o.flooded(t) && t.Verdict != verdictInvalid && t.N >= 10 {
			o.early = math.Max(o.early, *t.ErrorPercent/100)
		}
	}
}

// flooded says whether a load had many more users than can be served at a time (three times the knee, R(1)·X_max), or came faster
// than anything was carried. What fails only then fails for want of a bound.
func (o *outside) flooded(t *record.Trial) bool {
	if o.lone == nil || o.lone.trial.Latency.P50Ms == nil {
		return false
	}
	knee := *o.lone.trial.Latency.P50Ms / 1000 * o.best.GoodputPerSecond
	return float64(t.Load.Users) > 3*math.Max(1, knee) && t.Load.Users > 4 || t.Load.RatePerSecond > 1.05*o.best.GoodputPerSecond
}

// entry is the service that captest asks; "" where that is not known.
func (o *outside) entry() string {
	if len(o.path) > 0 {
		return o.path[0]
	}
	for _, t := range o.sight.tests {
		if t.Where != "" {
			return t.Where
		}
	}
	return ""
}

// last is the service furthest from captest, and the one that calls it.
func (o *outside) last() (leaf, caller string) {
	if n := len(o.path); n >= 2 {
		return o.path[n-1], o.path[n-2]
	}
	return "", o.entry()
}

// computed is the share of a single user's journey that the target's processes used CPU in; NaN unknown.
func (o *outside) computed() float64 {
	if !o.known || o.load.trial.GoodputPerSecond <= 0 || o.lone == nil || o.lone.trial.Latency.MeanMs == nil || *o.lone.trial.Latency.MeanMs <= 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, c := range o.cpu {
		sum += c
	}
	return sum / o.load.trial.GoodputPerSecond / (*o.lone.trial.Latency.MeanMs / 1000)
}

// crowded says whether all cores of the machine were taken, by whomever, so that what computes gets less than it would.
func (o *outside) crowded() bool {
	all, ok := o.machine(o.load.window)
	n, known := o.cores()
	return ok && known && all > 0.95*n
}

// failing says whether more than a few requests did not succeed.
func (o *outside) failing() bool { return o.failed >= 0.05 }
