package experiment

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/captest/captest/internal/record"
)

// Books are the target's gauges at rest, before the load and after each part of it: pure data, from which what was not given
// back is told. Rests and Loads alternate: Rests[0], Loads[0], Rests[1], Loads[1], Rests[2] …
type Books struct {
	Scrapes  []record.Scrape // in order of time
	Rests    []Span
	Loads    []LoadCount
	Triggers int     // Loads[Triggers:] are the triggers; those before (the ramp) warmed caches and pools
	CooledS  float64 // without load since the last one ended
}

// Span of time, seconds since the run began.
type Span struct{ FromS, ToS float64 }

// LoadCount is what was sent between two rests.
type LoadCount struct {
	Span
	Requests, Failed, Aborted uint64 // aborted ones are among the failed
}

// fullCool covers TIME_WAIT (60 s) and keep-alive expiry of 5 to 75 s (measurement 4.2, phase L).
const fullCool = 75

// idleCool covers the commonest expiry of a client's idle connections (30 s: httpx, the bundled services' pools). The quick
// watch waits no longer, and only when something is left.
const idleCool = 35

// leakSlack is what a gauge may differ by: three, or a twentieth of its excursion under load (measurement 4.5).
func leakSlack(before, peak float64) float64 { return max(3, 0.05*(peak-before)) }

// Leaks says which gauges did not return, how fast they grow, and which cannot be judged after so short a rest.
func (b Books) Leaks() ([]record.Leak, []record.Undecided) {
	leaks, open := []record.Leak{}, []record.Undecided{}
	if len(b.Rests) < 2 {
		return leaks, open
	}
	for _, service := range b.services() {
		l, u := b.service(service)
		leaks, open = append(leaks, l...), append(open, u...)
	}
	if len(b.Scrapes) > 0 && len(b.Rests)-b.Triggers-1 < leakCycles {
		open = append(open, record.Undecided{What: memoryGrowth, Why: fmt.Sprintf("allocators keep memory: a leak shows only over %d loads (thorough effort)", leakCycles)})
	}
	return leaks, open
}

func (b Books) services() []string {
	seen := map[string]bool{}
	for _, s := range b.Scrapes {
		seen[s.Service] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func (b Books) service(service string) (leaks []record.Leak, open []record.Undecided) {
	rest := b.Rests[len(b.Rests)-1]
	last, keys := b.latest(service, rest), b.keys(service, rest)
	if last == nil {
		return nil, []record.Undecided{{What: "leaks", Where: service, Why: "its metrics did not answer after the load"}}
	}
	if first := b.latest(service, b.Rests[0]); first != nil {
		was, is := first.Values["process_start_time_seconds"], last.Values["process_start_time_seconds"]
		if was > 0 && is > was+1 {
			return nil, []record.Undecided{{What: "leaks", Where: service, Why: "its process was replaced: its gauges began anew"}}
		}
	}
	if slices.ContainsFunc(b.keys(service, b.Rests[0]), func(key string) bool {
		name, _ := split(key)
		return name != tcpSockets && !slices.Contains(keys, key)
	}) {
		open = append(open, record.Undecided{What: "leaks", Where: service, Why: "its metrics did not answer after the load; what is said of it is from its process alone"})
	}
	for _, key := range keys {
		name, _ := split(key)
		a := b.account(service, key)
		if a == nil {
			continue
		}
		switch {
		case slices.Contains(atOnce, name):
			full := a.limit != nil && a.after >= *a.limit && a.before < *a.limit // without any load
			if full || a.excess() > leakSlack(a.before, a.peak) {
				leaks = append(leaks, b.leak(a))
			}
		case slices.Contains(withIdle, name):
			l, u := b.idleHolder(a)
			leaks, open = append(leaks, l...), append(open, u...)
		case slices.Contains(memory, name):
			leaks = append(leaks, b.memory(a)...)
		}
	}
	return unalias(leaks), open
}

const memoryGrowth = "memory growth"

// account is one gauge of one service over the whole run.
type account struct {
	service, key  string
	floors        []float64 // at each rest, less what idle connections explain
	before, after float64
	peak          float64
	limit         *float64
	falling       bool // by a fifth of what was left, when it was last seen
}

func (a *account) excess() float64 { return a.after - a.before }

// account gathers a gauge; nil when it was not there before the load.
func (b Books) account(service, key string) *account {
	name, labels := split(key)
	a := &account{service: service, key: key, peak: math.Inf(-1)}
	for i, r := range b.Rests {
		v, ok := b.level(service, key, r)
		if !ok {
			switch {
			case i == 0 && labels != "": // a labelled series appears with its first use: it was at nothing before
				v = 0
			case len(a.floors) == 0:
				return nil
			default:
				v = a.floors[len(a.floors)-1]
			}
		}
		if slices.Contains(withIdle, name) {
			v -= b.explained(service, key, r)
		}
		a.floors = append(a.floors, v)
	}
	a.before, a.after = a.floors[0], a.floors[len(a.floors)-1]
	for _, f := range a.floors[:min(b.Triggers+1, len(a.floors)-1)] {
		if slices.Contains(atOnce, name) {
			a.before = min(a.before, f) // a probe was being served at the other
		} else {
			a.before = max(a.before, f) // pools and caches that the ramp warmed are no leak of the overload
		}
	}
	for _, s := range b.Scrapes {
		if v, ok := s.Values[key]; ok && s.Service == service {
			a.peak = max(a.peak, v)
		}
	}
	if l, ok := limitOf[name]; ok {
		if last := b.latest(service, b.Rests[len(b.Rests)-1]); last != nil {
			if v, ok := last.Values[l+labels]; ok && v > 0 && v < 1e9 { // "unlimited" is written as a very large number
				a.limit = ref(v)
			}
		}
	}
	a.falling = b.falls(service, key, b.Rests[len(b.Rests)-1]) > 0.2*a.excess()
	return a
}

// restReadings of a rest are enough to see past a probe that was being served just then.
const restReadings = 5

func (b Books) readings(service, key string, r Span) []float64 {
	var out []float64
	name, _ := split(key)
	for _, s := range b.Scrapes {
		if s.Service != service || s.OffsetS < r.FromS || s.OffsetS > r.ToS {
			continue
		}
		v, ok := s.Values[key]
		if _, looked := s.Values[socketsRead]; !ok && looked && name == tcpSockets {
			ok = true // a peer without sockets is not listed
		}
		if ok {
			out = append(out, v)
		}
	}
	return out
}

// level is the lower median of a gauge's last readings within a rest; of what must be back at once the least, since the probes
// themselves are being served at times.
func (b Books) level(service, key string, r Span) (float64, bool) {
	v := b.readings(service, key, r)
	if len(v) == 0 {
		return 0, false
	}
	v = v[max(0, len(v)-restReadings):]
	slices.Sort(v)
	if name, _ := split(key); slices.Contains(atOnce, name) {
		return v[0], true
	}
	return v[(len(v)-1)/2], true
}

// falls is how far a gauge has come down in the second half of a rest, beyond its noise: 0 when it is not on its way.
func (b Books) falls(service, key string, r Span) float64 {
	v := b.readings(service, key, r)
	if len(v) < 2*restReadings {
		return 0
	}
	half := v[len(v)/2-restReadings/2:]
	return max(0, slices.Min(half[:restReadings])-slices.Max(v[len(v)-restReadings/2-1:]))
}

// keys are the names of all that was read of a service within a rest.
func (b Books) keys(service string, r Span) []string {
	seen := map[string]bool{}
	for _, s := range b.Scrapes {
		if s.Service == service && s.OffsetS >= r.FromS && s.OffsetS <= r.ToS {
			for key := range s.Values {
				seen[key] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func (b Books) latest(service string, r Span) *record.Scrape {
	var found *record.Scrape
	for i := range b.Scrapes {
		s := &b.Scrapes[i]
		if s.Service == service && len(s.Values) > 0 && s.OffsetS >= r.FromS && s.OffsetS <= r.ToS {
			found = s
		}
	}
	return found
}

// explained is what idle connections hold of a gauge: those of the service's own pools, and those that other services keep
// open to it (that a caller leaks connections is the caller's leak, told there). A Go client keeps two goroutines for a
// connection, a Go server one.
func (b Books) explained(service, key string, r Span) float64 {
	name, labels := split(key)
	if name == "http_client_connections_open" {
		idle, _ := b.level(service, "http_client_connections_idle"+labels, r)
		return idle
	}
	outgoing, incoming := 1.0, 1.0
	switch name {
	case "process_open_fds", "process_files_open_files":
	case "go_goroutines":
		outgoing = 2
	default:
		return 0
	}
	sum := 0.0
	for _, other := range b.services() {
		last := b.latest(other, r)
		if last == nil {
			continue
		}
		for k := range last.Values {
			n, l := split(k)
			_, to, _ := record.ParseMetric(k)
			switch {
			case other == service && n == "http_client_connections_idle":
				v, _ := b.level(other, k, r)
				sum += outgoing * v
			case other != service && n == "http_client_connections_open" && l != "" && to["downstream"] == service:
				v, _ := b.level(other, k, r)
				sum += incoming * v
			}
		}
	}
	return sum
}

// idleHolder judges a gauge that idle connections hold up. After the full cool whatever is left has leaked. After a shorter one
// only what no pool can account for has: it grew with every trigger again, though the load was the same, or by more than
// twice the most requests that were ever in progress; and it is not falling.
func (b Books) idleHolder(a *account) ([]record.Leak, []record.Undecided) {
	if a.excess() <= leakSlack(a.before, a.peak) {
		return nil, nil
	}
	if b.CooledS >= fullCool-1 {
		return []record.Leak{b.leak(a)}, nil
	}
	again := len(a.floors) >= b.Triggers+3 // two triggers at least
	for i := b.Triggers + 1; i < len(a.floors); i++ {
		again = again && a.floors[i]-a.floors[i-1] > leakSlack(a.before, a.peak)
	}
	most := 0.0
	for _, s := range b.Scrapes {
		if s.Service == a.service {
			most = max(most, s.Values["http_requests_in_progress"], s.Values["requests.in_progress"])
		}
	}
	if b.CooledS >= idleCool-1 && !a.falling && (again || most > 0 && a.excess() > 2*most) {
		return []record.Leak{b.leak(a)}, nil
	}
	return nil, []record.Undecided{{
		What: a.key, Where: a.service,
		Why: fmt.Sprintf("%.0f above its level before the load after %.0f s without any: idle connections may live longer (standard effort waits %d s)", a.excess(), b.CooledS, fullCool),
	}}
}

// memory is a leak only when its floor rose in each of five cycles or more and has not levelled off (measurement 4.5):
// allocators keep what they once had.
func (b Books) memory(a *account) []record.Leak {
	floors := a.floors[min(b.Triggers+1, len(a.floors)):]
	n := len(floors)
	if n < leakCycles || risingP(floors) >= 0.01 || theilSen(floors)*1000 < a.before || floors[n-1]-floors[n-2] < (floors[1]-floors[0])/2 {
		return nil
	}
	return []record.Leak{b.leak(a)}
}

// leakCycles of load and rest: five floors, each above the last, have one chance in 120 without a leak.
const leakCycles = 5

// leak states the rates: per 1,000 requests of the triggers, and per request of the kind it grows with.
func (b Books) leak(a *account) record.Leak {
	l := record.Leak{What: a.key, Where: a.service, Before: a.before, After: a.after, Limit: a.limit}
	var all LoadCount
	seconds := 0.0
	for _, x := range b.Loads[min(b.Triggers, len(b.Loads)):] {
		all.Requests, all.Failed, all.Aborted = all.Requests+x.Requests, all.Failed+x.Failed, all.Aborted+x.Aborted
		seconds += x.ToS - x.FromS
	}
	if all.Requests > 0 {
		l.Per1000 = ref(1000 * a.excess() / float64(all.Requests))
	}
	per, rate := b.attribute(a)
	if l.Per = per; per == perFailed || per == perAborted {
		l.PerFailed = ref(rate)
	}
	if a.limit != nil {
		left := max(0, *a.limit-a.after)
		if seconds > 0 && a.excess() > 0 {
			l.ExhaustedSeconds = ref(left / (a.excess() / seconds))
		}
		if rate > 0 {
			l.ExhaustedRequests = ref(left / rate)
		}
	}
	return l
}

// What a leak grows with.
const (
	perFailed  = "failed request"
	perAborted = "aborted request"
	perRequest = "request"
)

// attribute finds which count explains the growth between the rests: growth ≈ k·n by least squares through the origin,
// k = Σ g·n ÷ Σ n², for each kind alone. The kind with the least residue counts when it explains nine tenths of the growth;
// of equals the narrower. "" when none does.
func (b Books) attribute(a *account) (per string, rate float64) {
	kinds := []struct {
		name string
		of   func(LoadCount) uint64
	}{
		{perFailed, func(x LoadCount) uint64 { return x.Failed }},
		{perAborted, func(x LoadCount) uint64 { return x.Aborted }},
		{perRequest, func(x LoadCount) uint64 { return x.Requests }},
	}
	least := math.Inf(1)
	for _, k := range kinds {
		var gn, nn, gg float64
		for i := 1; i < len(a.floors) && i <= len(b.Loads); i++ {
			g, n := a.floors[i]-a.floors[i-1], float64(k.of(b.Loads[i-1]))
			gn, nn, gg = gn+g*n, nn+n*n, gg+g*g
		}
		if nn == 0 || gn <= 0 {
			continue
		}
		residue := gg - gn*gn/nn
		if residue <= 0.1*gg && residue < least-0.02*gg {
			per, rate, least = k.name, gn/nn, residue
		}
	}
	return per, rate
}

// unalias drops what is told under a metric's own name already: a role repeats the value of the metric that plays it.
func unalias(leaks []record.Leak) []record.Leak {
	roles := []string{"requests.in_progress", "pool.in_use", "sem.in_use", "hash.busy", "hash.queue", "process_files_open_files"}
	out := slices.DeleteFunc(slices.Clone(leaks), func(l record.Leak) bool {
		name, labels := split(l.What)
		if !slices.Contains(roles, name) && name != "process_open_fds" {
			return false
		}
		return slices.ContainsFunc(leaks, func(o record.Leak) bool {
			other, same := split(o.What)
			return other != name && !slices.Contains(roles, other) && same == labels && o.Before == l.Before && o.After == l.After
		})
	})
	slices.SortFunc(out, func(a, b record.Leak) int { return cmp.Compare(a.What, b.What) })
	return out
}
