package diagnose

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/captest/captest/internal/queueing"
)

// knobs lists what can be changed in thought, in the order of the services.
func (s *sight) knobs(sys *queueing.System) []knob {
	var out []knob
	has := func(name string) bool {
		return slices.ContainsFunc(sys.Resources, func(r queueing.Resource) bool { return r.Name == name })
	}
	resize := func(name, short, resource string) {
		out = append(out, knob{name: name, short: short, value: "N", make: func(v string) ([]queueing.Change, string) {
			n, bad := servers(v, true)
			return []queueing.Change{queueing.Resize{Pool: resource, Size: n}}, bad
		}})
	}
	for i := range s.resources {
		r := &s.resources[i]
		full := r.full()
		if !has(full) && r.kind != clientPool {
			continue
		}
		switch r.kind {
		case cpu:
			out = append(out, knob{name: r.where + ".cores", value: "N", make: func(v string) ([]queueing.Change, string) { return s.moreCores(r.where, v, has) }})
			if h, ok := s.hashCost(r.where, has); ok {
				out = append(out, h)
			}
		case loop:
			out = append(out, knob{name: r.where + ".workers", value: "N", make: func(v string) ([]queueing.Change, string) {
				n, bad := servers(v, true)
				s.loopsThen[r.where] = int(n)
				return []queueing.Change{queueing.Workers{Loop: full, N: int(n), Most: s.mostLoops(r)}}, bad
			}})
			if h, ok := s.hashing(r.where); ok {
				out = append(out, s.offLoop(h, full))
			}
		case hashPool:
			resize(r.where+".hash_pool", "hash.pool", full)
		case lock:
			out = append(out, s.lockTime(full, r))
		case database:
			if r.several {
				resize(r.where+".db_pool."+r.to, "", full)
			} else {
				resize(r.where+".db_pool", "", full)
			}
		case semaphore:
			resize(r.where+".semaphore."+r.to, "semaphore."+r.to, full)
		case clientPool:
			d := s.demandOf(r)
			if d.available {
				out = append(out, s.poolSize(sys, r, d, has(full)))
			}
			permits := resource{kind: semaphore, where: r.where, to: r.to}
			if d.available && !has(permits.full()) { // there is none: it would be held as long as a connection is
				k := s.poolSize(sys, &permits, d, false)
				k.name, k.short = r.where+".semaphore."+r.to, "semaphore."+r.to
				out = append(out, k)
			}
			if c, ok := s.all.call(r.where, r.to); ok && c.opened >= 0.9 && !slices.ContainsFunc(out, func(k knob) bool { return k.name == r.where+".client" }) {
				out = append(out, s.pooledClient(r.where, has))
			}
		case slots, downstream:
			out = append(out, s.serviceTime(sys, r))
			if r.kind == slots {
				resize(r.where+".slots", "", full)
			}
		}
	}
	return out
}

// mostLoops is how many loops of a service can get on at once: a loop that computes for a share of its busy time needs that share of
// a core. 0: unknown.
func (s *sight) mostLoops(loop *resource) float64 {
	busy := s.demandOf(loop)
	for _, r := range s.of(cpu, loop.where) {
		cores := r.servers
		if n := s.coresThen[loop.where]; n > 0 {
			cores = n
		}
		if d := s.demandOf(r); d.available && busy.available {
			return cores / math.Min(1, d.seconds.Value/busy.seconds.Value)
		}
	}
	return 0
}

// moreCores gives a process other cores, and its hash pool as many workers where it follows them.
func (s *sight) moreCores(where, value string, has func(string) bool) ([]queueing.Change, string) {
	n, bad := servers(value, false)
	if bad != "" {
		return nil, bad
	}
	s.coresThen[where] = n
	changes := []queueing.Change{queueing.Resize{Pool: where + " " + string(cpu), Size: n}}
	for _, all := range s.of(machine, "") {
		if !has(all.full()) {
			continue
		}
		size := all.servers
		for _, r := range s.of(cpu, "") {
			size += math.Max(0, s.coresThen[r.where]-r.servers) // cores that no other process gets
		}
		changes = append(changes, queueing.Resize{Pool: all.full(), Size: size})
	}
	for _, r := range s.of(loop, where) {
		if n := s.loopsThen[where]; n > 0 {
			changes = append(changes, queueing.Workers{Loop: r.full(), N: n, Most: s.mostLoops(r)})
		}
	}
	if s.moved[where] {
		return append(changes, queueing.Resize{Pool: where + " " + string(hashPool), Size: n}), ""
	}
	pool, procs := s.all.highest(where, "hash_pool_size"), s.all.highest(where, "go_sched_gomaxprocs_threads")
	if name := where + " " + string(hashPool); has(name) {
		size := n
		if pool != procs { // a size of its own: more cores do not make it larger
			size = math.Min(pool, n)
		}
		changes = append(changes, queueing.Resize{Pool: name, Size: size})
	}
	return changes, ""
}

// hashCost changes the cost of password hashing: a step more doubles it.
func (s *sight) hashCost(where string, has func(string) bool) (knob, bool) {
	station := where + " " + string(hashPool)
	var r *resource
	for _, x := range s.of(hashPool, where) {
		r = x
	}
	if h, ok := s.hashing(where); ok {
		r, station = &h, where+" "+string(loop)
	}
	if r == nil || !has(station) {
		return knob{}, false
	}
	d := s.demandOf(r)
	if !d.available {
		return knob{}, false
	}
	return knob{name: where + ".hash_cost", short: "hash.cost", value: "N", make: func(v string) ([]queueing.Change, string) {
		delta, bad := s.costSteps(where, v)
		if bad != "" || delta == 0 {
			return nil, bad
		}
		station := station
		if s.moved[where] {
			station = where + " " + string(hashPool)
		}
		changes := []queueing.Change{queueing.HashCost{Resource: station, Delta: delta, Hash: s.atMost(station, d.seconds.Value)}}
		for _, name := range []string{where + " " + string(cpu), machineName + " " + string(cpu)} {
			if has(name) && name != station {
				changes = append(changes, queueing.HashCost{Resource: name, Delta: delta, Hash: s.atMost(name, d.seconds.Value)})
			}
		}
		return changes, ""
	}}, true
}

// atMost is v, or the demand of a resource where that is less.
func (s *sight) atMost(full string, v float64) float64 {
	for i := range s.resources {
		if r := &s.resources[i]; r.full() == full {
			if d := s.demandOf(r); d.available {
				return math.Min(v, d.seconds.Value)
			}
		}
	}
	return v
}

// defaultCost is the cost the bundled services hash at unless told otherwise.
const defaultCost = 12

// costSteps is how many steps a cost is away: "+1" and "-2" say so, "10" is compared with the run's own.
func (s *sight) costSteps(where, value string) (int, string) {
	n, err := strconv.Atoi(value)
	if err != nil || n < -27 || n > 31 {
		return 0, fmt.Sprintf("%q is neither a cost from 4 to 31 nor a number of steps such as -2", value)
	}
	if strings.HasPrefix(value, "+") || strings.HasPrefix(value, "-") {
		return n, ""
	}
	if n < 4 {
		return 0, fmt.Sprintf("%q is no cost: bcrypt takes 4 to 31", value)
	}
	info := s.run.Info
	now := 0
	if info.Profile != "" {
		now = defaultCost
	}
	for _, key := range []string{"hash_cost", where + ".hash_cost"} {
		if v, err := strconv.Atoi(info.Set[key]); err == nil {
			now = v
		}
	}
	if now == 0 {
		return 0, "the run does not say what its cost is; give the steps, such as -2"
	}
	return n - now, ""
}

// offLoop moves hashing from an event loop to a pool of as many threads as there are cores.
func (s *sight) offLoop(h resource, loopName string) knob {
	return knob{name: h.where + ".hash", value: "pool", make: func(v string) ([]queueing.Change, string) {
		if v != "pool" {
			return nil, fmt.Sprintf("%q is not pool, the only place hashing can be moved to", v)
		}
		d := s.demandOf(&h)
		if !d.available {
			return nil, "how long hashing takes was not measured"
		}
		if s.moved[h.where] {
			return nil, "hashing has been moved already"
		}
		s.moved[h.where] = true
		threads := h.servers
		if n := s.coresThen[h.where]; n > 0 {
			threads = n
		}
		return []queueing.Change{queueing.OffLoop{Loop: loopName, To: h.where + " " + string(hashPool), Seconds: s.atMost(loopName, d.seconds.Value), Servers: threads}}, ""
	}}
}

// poolSize sizes a pool of connections. One nobody ever waited for has no known size: it is put beside the others then.
func (s *sight) poolSize(sys *queueing.System, r *resource, d demand, known bool) knob {
	return knob{name: r.where + ".pool." + r.to, short: "pool." + r.to, value: "N", make: func(v string) ([]queueing.Change, string) {
		n, bad := servers(v, true)
		if bad != "" {
			return nil, bad
		}
		if !known && !slices.ContainsFunc(sys.Resources, func(q queueing.Resource) bool { return q.Name == r.full() }) {
			sys.Resources = append(sys.Resources, queueing.Resource{Name: r.full(), Demand: d.seconds, Servers: max(n, 1e6), Overlaps: true})
		}
		return []queueing.Change{queueing.Resize{Pool: r.full(), Size: n}}, ""
	}}
}

// serviceTime gives a downstream another time a journey.
func (s *sight) serviceTime(sys *queueing.System, r *resource) knob {
	full := r.full()
	name := r.where
	if r.kind == downstream {
		name = r.to
	}
	return knob{name: name + ".time", value: "DURATION", make: func(v string) ([]queueing.Change, string) {
		t, err := time.ParseDuration(v)
		if err != nil || t <= 0 || t > time.Hour {
			return nil, fmt.Sprintf("%q is not a duration above 0 such as 100ms (of a journey, all calls together)", v)
		}
		size := r.servers
		for _, q := range sys.Resources {
			if q.Name == full && q.Servers > 0 {
				size = q.Servers
			}
		}
		changes := []queueing.Change{queueing.Scale{Downstream: full, Servers: max(1, size), Demand: t.Seconds()}}
		return append(changes, s.heldFor(sys, name, t.Seconds()-demandIn(sys, full))...), ""
	}}
}

// demandIn is a resource's demand in a system, in seconds; 0 when it has none.
func demandIn(sys *queueing.System, full string) float64 {
	for _, q := range sys.Resources {
		if q.Name == full {
			return q.Demand.Value
		}
	}
	return 0
}

// heldFor lets permits and connections be held so much longer, or shorter, for calls that a downstream is behind.
func (s *sight) heldFor(sys *queueing.System, name string, more float64) []queueing.Change {
	var out []queueing.Change
	for i := range s.resources {
		r := &s.resources[i]
		if r.kind != semaphore && r.kind != clientPool || !s.reaches(r.to, name) {
			continue
		}
		for _, q := range sys.Resources {
			if q.Name == r.full() && !q.Delay {
				out = append(out, queueing.Scale{Downstream: q.Name, Servers: q.Servers, Demand: math.Max(1e-6, q.Demand.Value+more)})
			}
		}
	}
	return out
}

// reaches says whether a service is another or calls it, directly or through others.
func (s *sight) reaches(from, to string) bool {
	seen := []string{from}
	for i := 0; i < len(seen); i++ {
		if seen[i] == to {
			return true
		}
		for _, next := range s.calls(seen[i]) {
			seen = appendNew(seen, next)
		}
	}
	return false
}

// lockTime gives the lock that all requests of a service share another time a journey.
func (s *sight) lockTime(full string, r *resource) knob {
	return knob{name: r.where + ".lock", value: "DURATION", make: func(v string) ([]queueing.Change, string) {
		t, err := time.ParseDuration(v)
		if err != nil || t <= 0 || t > time.Hour {
			return nil, fmt.Sprintf("%q is not a duration above 0 such as 10ms (of a journey, all it holds the lock for)", v)
		}
		return []queueing.Change{queueing.Scale{Downstream: full, Servers: 1, Demand: t.Seconds()}}, ""
	}}
}

// pooledClient keeps one client instead of making one a call: what making them took of the event loop and of the CPU is gone, where a
// metric tells it. What dialling costs a journey no metric tells, and on one machine it is next to nothing.
func (s *sight) pooledClient(where string, has func(string) bool) knob {
	return knob{name: where + ".client", value: "pooled", make: func(v string) ([]queueing.Change, string) {
		if v != "pooled" {
			return nil, fmt.Sprintf("%q is not pooled, the only other way", v)
		}
		var changes []queueing.Change
		built, ok := s.loads[0].rate(where, clientBuild)
		if each := built / s.best.GoodputPerSecond; ok && finite(each) && each > 0 {
			for _, name := range []string{where + " " + string(loop), where + " " + string(cpu), machineName + " " + string(cpu)} {
				if has(name) {
					changes = append(changes, queueing.ReuseClients{Loop: name, Construct: s.atMost(name, each)})
				}
			}
		}
		return changes, ""
	}}
}
