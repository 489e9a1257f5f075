package diagnose

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/captest/captest/internal/record"
)

// part of a scene: quiet, one user, ten users, fifty, and nobody again.
const (
	quiet = iota
	one
	ten
	fifty
	nobody
	parts
)

// starts of the parts, and the end, in seconds.
var starts = [parts + 1]float64{0, 10, 20, 35, 55, 80}

// value is a metric's rate (of a counter) or level (of a gauge) in each part.
type value struct {
	counter bool
	at      [parts]float64
}

func counter(quiet, one, ten, fifty, nobody float64) value {
	return value{true, [parts]float64{quiet, one, ten, fifty, nobody}}
}

func level(quiet, one, ten, fifty, nobody float64) value {
	return value{false, [parts]float64{quiet, one, ten, fifty, nobody}}
}

func always(v float64) value { return level(v, v, v, v, v) }

// services are metrics by service and key.
type services map[string]map[string]value

// scene is a run whose truth is known: loads, what came of them, and what the services showed meanwhile.
type scene struct {
	x        [3]float64 // goodput at one, ten and fifty users
	ms       [3]float64 // mean response time
	failed   [3]float64 // percent
	services services
	recovery string
	change   func(*record.Run, *record.Result)
}

// loads of a healthy target whose throughput is flat at 5/s from ten users on.
func flatAt(x float64) scene {
	return scene{x: [3]float64{2, x, x}, ms: [3]float64{450, 10000 / x, 50000 / x}, recovery: record.SelfHealing}
}

// besides is a service that shows metrics and has nothing to do with anything: with it a target is not blind.
var besides = services{"besides": {"process_cpu_seconds_total": always(0.1)}}

func (s scene) with(all ...services) scene {
	out := services{}
	for _, some := range append([]services{s.services}, all...) {
		for name, metrics := range some {
			if out[name] == nil {
				out[name] = map[string]value{}
			}
			for k, v := range metrics {
				out[name][k] = v
			}
		}
	}
	s.services = out
	return s
}

func (s scene) play() (*record.Run, *record.Result) {
	run := &record.Run{Info: record.RunInfo{ID: "scene", Profile: "phase2", Host: record.Host{CPUs: 2, Colocated: true}}}
	res := &record.Result{Validity: record.Validity{Valid: true}, Recovery: &record.Recovery{Class: s.recovery}}
	phases := [parts]string{"quiet", "baseline", "level", "overload", "recovery"}
	users := [parts]int{0, 1, 10, 50, 0}
	for part := one; part <= fifty; part++ {
		i := part - one
		t := record.Trial{
			Phase: phases[part], Load: record.Load{Users: users[part]}, StartS: starts[part], Seconds: starts[part+1] - starts[part], N: 80,
			GoodputPerSecond: s.x[i], ErrorPercent: &s.failed[i], Verdict: "pass", Latency: record.Latency{MeanMs: &s.ms[i], P50Ms: &s.ms[i]},
		}
		res.Trials = append(res.Trials, t)
	}
	names := sorted(s.services)
	sums := map[string]float64{}
	for at := 0; at < int(starts[parts]); at++ {
		part := quiet
		for float64(at) >= starts[part+1] {
			part++
		}
		trial := part - one
		if part == quiet || part == nobody {
			trial = -1
		}
		run.Frames = append(run.Frames, record.Frame{OffsetS: float64(at), Seconds: 1, Trial: trial, Phase: phases[part], Users: users[part], InFlight: users[part]})
		for _, name := range names {
			values := map[string]float64{}
			for _, key := range sorted(s.services[name]) {
				v := s.services[name][key]
				if values[key] = v.at[part]; v.counter {
					values[key] = sums[name+" "+key]
					sums[name+" "+key] += v.at[part]
				}
			}
			run.Scrapes = append(run.Scrapes, record.Scrape{OffsetS: float64(at), Service: name, Ms: 5, Values: values})
		}
	}
	if s.change != nil {
		s.change(run, res)
	}
	return run, res
}

// named are the findings as "cause@where confidence role".
func named(res *record.Result) []string {
	var out []string
	for _, f := range res.Findings {
		out = append(out, fmt.Sprintf("%s@%s %s %s", f.Cause, f.Where, f.Confidence, f.Role))
	}
	return out
}

func check(t *testing.T, s scene, want ...string) *record.Result {
	t.Helper()
	run, res := s.play()
	Explain(run, res)
	if got := named(res); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
		for _, f := range res.Findings {
			text, _ := json.MarshalIndent(f, "", " ")
			t.Logf("%s", text)
		}
	}
	return res
}

// calls from one service to another: calls a second, seconds each, and connections opened a call, in the parts.
func calls(to string, perSecond, seconds [3]float64, opened float64) map[string]value {
	d := fmt.Sprintf(`{downstream="%s"}`, to)
	n := counter(0, perSecond[0], perSecond[1], perSecond[2], 0)
	sum := n
	for i, s := range seconds {
		sum.at[one+i] = perSecond[i] * s
	}
	open := n
	for i := range open.at {
		open.at[i] *= opened
	}
	return map[string]value{
		callCount + d: n, callSeconds + d: sum, connsOpened + d: open, poolWait + d: always(0), callRetries + d: always(0),
		connsInUse + d: always(0), connsOpen + d: always(2),
		callResults + fmt.Sprintf(`{downstream="%s",status="201"}`, to): n,
	}
}

func merge(all ...map[string]value) map[string]value {
	out := map[string]value{}
	for _, m := range all {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// healthy are services with room everywhere, whose user-service calls billing, which calls kill-bill, 5 times a second.
func healthy() services {
	rate := [3]float64{2, 5, 5}
	fast := [3]float64{.2, .2, .2}
	common := func(cpu float64) map[string]value {
		return map[string]value{
			"process_cpu_seconds_total": counter(.01, cpu*2/5, cpu, cpu, .01), "go_sched_gomaxprocs_threads": always(2),
			"process_open_fds": always(30), "process_max_fds": always(20000), `event_loop_busy_seconds_total{worker="0"}`: counter(0, .02, .05, .05, 0),
			`event_loop_wait_seconds_total{worker="0"}`: counter(0, 0, 0, 0, 0), "http_requests_in_progress": level(0, 1, 2, 2, 0),
			`pool.max{db_name="s"}`: always(5), `pool.in_use{db_name="s"}`: level(0, 0, .1, .1, 0), `pool.wait_sum{db_name="s"}`: counter(0, 0, 0, 0, 0),
		}
	}
	permits := func(to string) map[string]value {
		d := fmt.Sprintf(`{downstream="%s"}`, to)
		return map[string]value{"semaphore_limit" + d: always(10), "semaphore_in_use" + d: level(0, .4, 1, 1, 0), "semaphore_waiting" + d: always(0)}
	}
	return services{
		"user": merge(common(1), calls("billing", rate, fast, .01), permits("billing"), map[string]value{
			"hash_pool_size": always(2), "hash_seconds_total": counter(0, .4, 1, 1, 0), "hashes_total": counter(0, 2, 5, 5, 0), "hash_pool_queue": always(0),
		}),
		"billing":   merge(common(.05), calls("kill-bill", rate, fast, .01), permits("kill-bill")),
		"kill-bill": {"capacity_slots": always(27), "capacity_busy": level(0, .4, 1, 1, 0), "capacity_queued": always(0), "http_requests_in_progress": always(0)},
	}
}
