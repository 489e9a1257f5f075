package report

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

// maker writes a run as captest would have recorded it against a target it models: hash of 0.25 s on 2 cores, a downstream
// hop of 205 ms, so X(N) = min(N/R(1), 7.5) and R(N) = N/X(N).
type maker struct {
	t     testing.TB
	run   *record.Run
	rng   *rand.Rand
	now   float64
	total float64 // registrations so far
	trial int
	stuck bool // from now on every request and functional probe fails
}

const (
	hashMs, hopMs = 250.0, 205.0
	topPerSecond  = 7.5
)

func newMaker(t testing.TB, plan, profile string) *maker {
	started := time.Date(2026, 11, 23, 9, 57, 0, 0, time.UTC)
	info := record.RunInfo{
		ID: "20261123T095700Z-registration-reference", Scenario: "registration", Target: "reference", Profile: profile, Plan: plan,
		Effort: "standard", Engine: "net/http", Seed: 42, Started: started, CaptestVersion: "0.1.0", Steps: []string{"register"},
		Host: record.Host{OS: "linux", Arch: "amd64", Kernel: "6.8.0", CPUModel: "AMD EPYC 7763", CPUs: 2, GOMAXPROCS: 2, MemoryBytes: 8 << 30, GoVersion: "go1.26", Colocated: true},
	}
	return &maker{t: t, run: &record.Run{Info: info}, rng: rand.New(rand.NewPCG(1, 2)), trial: -1}
}

func (m *maker) event(kind record.EventKind, trial int, text string, data any) {
	e, err := record.NewEvent(m.now, kind, trial, text, data)
	if err != nil {
		m.t.Fatal(err)
	}
	m.run.Events = append(m.run.Events, e)
}

func modelled(users int) (perSecond, ms float64) {
	perSecond = min(float64(users)*1000/(hashMs+hopMs), topPerSecond)
	return perSecond, float64(users) * 1000 / perSecond
}

// hold runs one trial of users for warm+measured seconds.
func (m *maker) hold(phase string, users int, warm, measured int, verdict string, reasons ...string) {
	m.trial++
	m.event(record.EventTrialStart, m.trial, "", record.TrialStart{Phase: phase, Load: record.Load{Users: users}, Seconds: float64(warm + measured)})
	perSecond, ms := modelled(users)
	for i := range warm + measured {
		m.second(phase, m.trial, users, i < warm, perSecond, ms, i == 0)
	}
	m.event(record.EventTrialEnd, m.trial, "", record.TrialEnd{Verdict: verdict, Reasons: reasons})
}

func (m *maker) second(phase string, trial, users int, warm bool, perSecond, ms float64, first bool) {
	f := record.Frame{OffsetS: m.now, Seconds: 1, Trial: trial, Phase: phase, Warmup: warm, Users: users, InFlight: users, InFlightMean: float64(users)}
	if users > 0 {
		n := uint64(max(0, math.Round(perSecond+0.6*m.rng.NormFloat64())))
		h := record.NewHistogram()
		step := &record.StepFrame{N: n, OK: n, Status: map[string]uint64{"201": n}, BytesIn: 180 * n}
		for range n {
			h.RecordMs(ms * math.Exp(0.06*m.rng.NormFloat64()))
		}
		if m.stuck {
			step.OK, step.Errors, step.Status = 0, map[string]uint64{"timeout": n}, nil
		}
		step.Response, _ = h.Encode()
		step.Service = step.Response
		f.Steps = map[string]*record.StepFrame{"register": step}
		f.Started = n
		f.Connections = record.ConnectionFrame{Open: users, Peak: users, Reused: n}
		if first {
			f.Connections.Opened = uint64(users)
			f.Connections.Reused = n - min(n, uint64(users))
		}
		m.total += float64(step.OK)
	}
	m.run.Frames = append(m.run.Frames, f)
	m.scrape(users)
	cpu, own, fds := 12.0, 1.2, 40.0+float64(users)
	if users > 0 {
		cpu, own = 88+4*m.rng.Float64(), 3+float64(users)/10
	}
	m.run.Hosts = append(m.run.Hosts, record.HostReading{OffsetS: m.now + 0.4, CPUPercent: &cpu, GeneratorCPUPercent: &own, GeneratorFDs: &fds})
	m.now++
}

func (m *maker) scrape(users int) {
	busy, waiting := 0.0, 0.0
	if users > 0 {
		busy = min(2, float64(users)*0.55)
		waiting = max(0, float64(users)-4)
	}
	inProgress, opened := float64(users), 4+math.Floor(m.total/300)
	if m.stuck {
		inProgress, busy = 37, 0
	}
	user := record.Scrape{OffsetS: m.now + 0.1, Service: "user", Ms: 3, Values: map[string]float64{
		"http_requests_in_progress": inProgress, "hash_pool_busy": busy, "hash_pool_size": 2, "hash_pool_queue": waiting,
		`semaphore_in_use{downstream="billing"}`: min(10, inProgress*0.4), `semaphore_limit{downstream="billing"}`: 10,
		`semaphore_waiting{downstream="billing"}`:                        0,
		`http_client_connections_opened_total{downstream="billing"}`:     opened,
		`http_client_connections_in_use{downstream="billing"}`:           min(10, inProgress*0.4),
		`http_client_requests_total{downstream="billing",status="200"}`:  m.total,
		`http_client_request_duration_seconds_sum{downstream="billing"}`: m.total * 0.213, `http_client_request_duration_seconds_count{downstream="billing"}`: m.total,
		"process_open_fds": 21 + inProgress, "process_max_fds": 1024, "go_goroutines": 30 + 2*inProgress, "process_start_time_seconds": 1,
	}}
	if m.stuck && int(m.now)%9 == 0 {
		user = record.Scrape{OffsetS: m.now + 0.1, Service: "user", Ms: 1000, Error: "timeout"}
	}
	billing := record.Scrape{OffsetS: m.now + 0.35, Service: "billing", Ms: 2, Values: map[string]float64{
		"http_requests_in_progress": min(10, inProgress*0.4), "process_open_fds": 18 + min(10, inProgress), "process_max_fds": 1024, "process_start_time_seconds": 1,
		`http_client_connections_opened_total{downstream="kill-bill"}`:     opened + 1,
		`http_client_requests_total{downstream="kill-bill",status="201"}`:  2 * m.total,
		`http_client_request_duration_seconds_sum{downstream="kill-bill"}`: 2 * m.total * 0.205, `http_client_request_duration_seconds_count{downstream="kill-bill"}`: 2 * m.total,
	}}
	m.run.Scrapes = append(m.run.Scrapes, user, billing)
}

// rest lets seconds pass without load, probing twice a second and of each kind.
func (m *maker) rest(phase string, seconds int, functional func(at float64) bool) {
	for range seconds {
		for i, at := range []float64{0.2, 0.7} {
			for _, conn := range []string{"fresh", "kept"} {
				ok := functional(m.now + at)
				p := record.Probe{OffsetS: m.now + at, Probe: "functional", Connection: conn, Service: "user", OK: ok, Status: 201, Ms: 470 + 10*float64(i)}
				if !ok {
					p.Status, p.Ms, p.Error = 0, 2000, "timeout"
				}
				h := record.Probe{OffsetS: m.now + at, Probe: "health", Connection: conn, Service: "user", OK: true, Status: 200, Ms: 1.4}
				m.run.Probes = append(m.run.Probes, p, h)
			}
		}
		m.second(phase, -1, 0, false, 0, 0, false)
	}
}

func (m *maker) finish(limits []string) (*record.Run, *record.Result) {
	m.event(record.EventEnd, -1, "", map[string]string{"reason": "done"})
	return m.judged(limits)
}

func (m *maker) judged(limits []string) (*record.Run, *record.Result) {
	res := record.Summarise(m.run)
	var parsed []scenarios.Limit
	for _, e := range limits {
		l, err := scenarios.ParseLimit(e)
		if err != nil {
			m.t.Fatal(err)
		}
		parsed = append(parsed, l)
	}
	gate.Judge(m.run, res, parsed)
	return m.run, res
}

func ref(v float64) *float64 { return &v }

func users(n int) *int { return &n }

var limits = []string{"register.p95<1s", "errors<1%"}

func killbill() record.Baseline {
	return record.Baseline{
		Name: "killbill", Provenance: "as quoted by the incident report, not independently confirmed",
		Claimed: record.BaselineFigure{PerSecond: ref(133), MeanMs: ref(200)}, Measured: record.BaselineFigure{PerSecond: ref(7.42), MeanMs: ref(205.3), N: ref(1083)},
		Ratio: ref(7.42 / 133), CallerMs: ref(207.1), CalleeMs: ref(205.3),
		Notes: []string{"Little's law: 133/s × 0.2 s = 26.6 in flight, so any pool or semaphore below 27 is a lower ceiling than the claim", "never a gate across different hardware"},
	}
}

func capacity() record.Capacity {
	c := record.Capacity{
		SLO: limits, PerSecond: record.Bounds{Confirmed: ref(7.21), Refuted: ref(7.83)}, PerMinute: record.Bounds{Confirmed: ref(432.6), Refuted: ref(469.8)},
		Concurrency: record.Concurrency{MaxWithinSLO: users(4), Knee: ref(3.42)}, MaxPerSecond: ref(7.52), IntervalPercent: ref(8.6),
		Method: "closed ramp, one run (within-run resolution, 95 %), limits register.p95<1s, errors<1%; an open load's tail is not judged",
	}
	for _, n := range []int{1, 2, 4, 8, 10} {
		x, ms := modelled(n)
		c.LatencyAt = append(c.LatencyAt, record.LatencyAt{Users: n, N: uint64(10 * x), MeanMs: ms, P50Ms: ms * 0.997, P95Ms: ms * 1.1, PerSecond: x})
	}
	return c
}

// ladder runs the levels every capacity run begins with.
func (m *maker) ladder() {
	m.event(record.EventRun, -1, "", m.run.Info)
	m.event(record.EventLimits, -1, "", limits)
	m.rest("preflight", 6, func(float64) bool { return true })
	m.hold("baseline", 1, 2, 10, "pass")
	m.hold("ramp", 2, 2, 10, "pass")
	m.hold("ramp", 4, 2, 10, "pass")
	m.hold("ramp", 8, 2, 10, "fail", "register.p95<1s: 1.17 s")
	m.hold("level", 10, 2, 14, "fail", "register.p95<1s: 1.46 s")
}

// healthy is registration on the cured reference services: it slows down, and heals by itself in 6 s.
func healthy(t testing.TB) (*record.Run, *record.Result) {
	m := newMaker(t, gate.PlanCapacity, "phase2")
	m.ladder()
	m.hold("overload", 50, 0, 20, "fail")
	released := m.now
	m.rest("release", 6, func(at float64) bool { return at > released+5.5 })
	m.rest("recovery", 16, func(float64) bool { return true })
	m.event(record.EventCapacity, -1, "", capacity())
	m.event(record.EventRecovery, -1, "", record.Recovery{
		Class: record.SelfHealing, Seconds: ref(6), ExpectedDrainSeconds: ref(6.7), HealthDeceptionSeconds: ref(5.5), WatchedSeconds: 22,
		Summary: "answers as before the load again after 6.0 s",
	})
	m.event(record.EventBaseline, -1, "", killbill())
	m.event(record.EventValidity, -1, "", record.Validity{Valid: true, GeneratorCPUPercent: ref(5.2)})
	run, res := m.finish(append(limits, "recovery<10s"))
	res.Ceilings = []record.Ceiling{
		{Resource: "hash pool", Where: "user", Servers: 2, DemandMs: 266, PerSecond: 7.52, Interval: &record.Bounds{Confirmed: ref(7.2), Refuted: ref(7.8)}, UtilisationPercent: ref(99.2)},
		{Resource: "semaphore", Where: "user → billing", Servers: 10, DemandMs: 213, PerSecond: 46.9, UtilisationPercent: ref(16)},
	}
	res.Findings = []record.Finding{{
		Cause: "cpu-bound-hashing", Role: "slow-because", Where: "user", Confidence: "C2",
		Summary:  "Every registration computes one password hash of 0.25 s; two cores can do 7.5 of them a second.",
		Evidence: []record.Evidence{{What: "hash pool busy", Value: 99.2, Unit: "%", Expected: "below 70 %", Source: "hash_pool_busy ÷ hash_pool_size"}, {What: "time per hash", Value: 266, Unit: "ms", Source: "hash_seconds_total"}},
		RuledOut: []record.RuledOut{{Cause: "slow-downstream", Why: "Kill Bill answers in 205 ms at every load"}},
		Remedy:   "more cores, or a lower bcrypt cost", Prediction: &record.Prediction{PerSecond: ref(15), Limit: "the hash pool still, on four cores"},
	}}
	return run, res
}

// wedged is the incident: healthy health checks on a service that no longer registers anyone.
func wedged(t testing.TB) (*record.Run, *record.Result) {
	m := newMaker(t, gate.PlanCapacity, "before")
	m.ladder()
	m.hold("overload", 50, 0, 12, "fail")
	m.stuck = true
	m.trial--
	m.hold("overload", 50, 0, 10, "fail", "register.p95<1s: 30.0 s")
	m.rest("release", 30, func(float64) bool { return false })
	m.rest("recovery", 90, func(float64) bool { return false })
	m.event(record.EventWarning, -1, "user: 14 scrapes failed while the overload lasted", nil)
	c := capacity()
	m.event(record.EventCapacity, -1, "", c)
	m.event(record.EventRecovery, -1, "", record.Recovery{
		Class: record.Stuck, SubClass: "deceptive", ExpectedDrainSeconds: ref(6.7), HealthDeceptionSeconds: ref(118), WatchedSeconds: 120,
		Summary: "still failing 120 s after the load ended, with no load at all; its health check says it is fine",
		Leaks:   []record.Leak{{What: "http_requests_in_progress", Where: "user", Before: 0, After: 37, Per1000: ref(64)}},
	})
	b := killbill()
	b.CallerMs = ref(4930)
	m.event(record.EventBaseline, -1, "", b)
	m.event(record.EventValidity, -1, "", record.Validity{Valid: true, GeneratorCPUPercent: ref(5.2)})
	return m.finish(append(limits, "recovery<10s"))
}

// cutShort was killed during the second level.
func cutShort(t testing.TB) (*record.Run, *record.Result) {
	m := newMaker(t, gate.PlanCapacity, "phase2")
	m.event(record.EventRun, -1, "", m.run.Info)
	m.hold("baseline", 1, 2, 10, "pass")
	m.hold("ramp", 2, 2, 4, "pass")
	m.run.Events = m.run.Events[:len(m.run.Events)-1]
	m.run.CutShort = true
	m.run.Warnings = []string{"frames.jsonl: the last line is torn and was left out"}
	return m.judged(limits)
}

// fixed is the incident's own command line: 100 registrations, 20 at a time.
func fixed(t testing.TB) (*record.Run, *record.Result) {
	m := newMaker(t, "fixed", "phase2")
	m.event(record.EventRun, -1, "", m.run.Info)
	m.event(record.EventTrialStart, 0, "", record.TrialStart{Phase: "fixed", Load: record.Load{Users: 20}})
	for i := range 14 { // 13 s and a fifth of a second, as 7.58/s would have it
		n := 8 - i%2
		m.second("fixed", 0, 20, false, float64(n), 2600, i == 0)
		f := &m.run.Frames[len(m.run.Frames)-1]
		if i == 13 {
			n, f.Seconds, f.InFlight = 2, 0.2, 0
		}
		h := record.NewHistogram()
		for range n {
			h.RecordMs(2600 * math.Exp(0.06*m.rng.NormFloat64()))
		}
		s := f.Steps["register"]
		s.N, s.OK, s.Status = uint64(n), uint64(n), map[string]uint64{"201": uint64(n)}
		s.Response, _ = h.Encode()
		s.Service = s.Response
		f.Started, f.Connections.Reused = uint64(n), uint64(n)
		if i == 0 {
			f.Connections.Reused = 0
		}
	}
	m.now -= 0.8
	m.event(record.EventTrialEnd, 0, "", record.TrialEnd{Verdict: "fail"})
	m.event(record.EventValidity, -1, "", record.Validity{Valid: true, GeneratorCPUPercent: ref(3.1)})
	return m.finish(limits)
}

// nothing is a result in which every pointer is nil and every list empty.
func nothing(testing.TB) (*record.Run, *record.Result) {
	run, res := &record.Run{}, &record.Result{SchemaVersion: record.SchemaVersion}
	res.Run = record.RunInfo{Scenario: "registration", Target: "staging", Plan: gate.PlanCapacity}
	gate.Judge(run, res, nil)
	return run, res
}

// escape is what a hostile server may put anywhere: markup, a clear-screen sequence, an 8-bit CSI, a title change, a direction override.
const escape = "<script>window.pwned=1</script><img src=x onerror=window.pwned=2>\x1b[2J\x1b]0;owned\x07\u009b31m\u202eevil</script>\r\nline"

// hostile is the healthy run with escape in every string a server, a scenario file or a folder can influence.
func hostile(t testing.TB) (*record.Run, *record.Result) {
	run, res := healthy(t)
	res.Run.Scenario, res.Run.Target, res.Run.Profile, res.Run.Host.CPUModel = escape, escape, escape, escape
	res.Warnings = []string{escape}
	res.Validity.Reasons = []string{escape}
	res.Recovery.Summary, res.Recovery.SubClass = escape, escape
	res.Recovery.Leaks = []record.Leak{{What: escape, Where: escape}}
	res.Findings[0].Cause, res.Findings[0].Summary, res.Findings[0].Remedy, res.Findings[0].Where = escape, escape, escape, escape
	res.Findings[0].Evidence[0].What, res.Findings[0].Evidence[0].Unit = escape, escape
	res.Ceilings[0].Resource = escape
	res.Limits[0].Expr, res.Limits[0].At = escape, escape
	res.Trials[0].Phase, res.Trials[0].Reasons = escape, []string{escape}
	step := res.Steps["register"]
	step.Errors, step.Status = map[string]uint64{escape: 3}, map[string]uint64{escape: 1}
	res.Steps = map[string]record.StepStats{escape: step}
	res.Connections.Target[escape] = record.TargetConnections{Downstream: map[string]record.DownstreamConnections{escape: {OpenedPerRequest: ref(1)}}}
	res.Baseline.Name, res.Baseline.Provenance, res.Baseline.Notes = escape, escape, []string{escape}
	res.Capacity.Method, res.Capacity.Note = escape, escape
	for i := range run.Frames {
		run.Frames[i].Phase = escape
	}
	for i := range run.Probes {
		run.Probes[i].Probe, run.Probes[i].Error, run.Probes[i].OK = escape, escape, i%2 == 0
	}
	for i := range run.Scrapes {
		run.Scrapes[i].Service = escape
	}
	return run, res
}
