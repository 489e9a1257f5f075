package diagnose

import (
	"math"
	"slices"

	"github.com/captest/captest/internal/record"
)

// sight is a run as the causes look at it: its loads, the quiet before and after them, and the resources it shows.
type sight struct {
	run       *record.Run
	res       *record.Result
	index     *index
	best      *record.Trial // the load ceilings are measured at
	loads     []load        // best first, then heavier ones: where something that is full shows
	lone      *load         // the lightest load, where nobody waits for anybody
	all       window        // from the first load to the end of the last
	after     *window       // no load, nothing in flight, nothing restarted yet
	resources []resource
	tests     []record.Test
	claims    []claim // that the evidence carries, once they are weighed
	hops      []record.Hop
	damaged   bool // the folder has lost what the run measured
	// What changes in thought have done so far: services whose hashing is in a pool, and the cores and event loops they have.
	moved     map[string]bool
	coresThen map[string]float64
	loopsThen map[string]int
}

// load is a trial and the window it was measured in.
type load struct {
	window
	trial *record.Trial
}

func look(run *record.Run, res *record.Result) *sight {
	damaged := len(run.Damage()) > 0
	run, res = untested(run, res)
	s := &sight{damaged: damaged, run: run, res: res, index: indexOf(run), tests: testsOf(run), moved: map[string]bool{}, coresThen: map[string]float64{}, loopsThen: map[string]int{}}
	if s.best = bestTrial(res.Trials); s.best == nil {
		return s
	}
	s.loads = []load{s.at(s.best)}
	s.lone = s.lightest()
	s.all = window{index: s.index, from: math.Inf(1)}
	for i := range res.Trials {
		t := &res.Trials[i]
		s.all.from, s.all.to = math.Min(s.all.from, t.StartS), math.Max(s.all.to, t.StartS+t.Seconds)
		heavier := t.Load.Users > s.best.Load.Users && s.best.Load.Users > 0 || t.Load.RatePerSecond > 1.05*s.best.GoodputPerSecond
		if t != s.best && t.Verdict != verdictInvalid && t.Phase != record.PhaseTests && (pressing(t.Phase) || heavier) {
			s.loads = append(s.loads, s.at(t))
		}
	}
	s.after = s.afterLoad()
	s.resources = s.measured()
	s.hops = s.hopTable()
	return s
}

// verdictInvalid is the experiment's word for a trial whose numbers are not about the target.
const verdictInvalid = "invalid"

// pressing phases drive the target beyond what it carries.
func pressing(phase string) bool { return phase == "overload" || phase == "abort" }

// at gives the window in which a trial was measured: from its first frame after the warm-up on.
func (s *sight) at(t *record.Trial) load {
	w := window{index: s.index, from: t.StartS, to: t.StartS + t.Seconds}
	for i := range s.run.Frames {
		f := &s.run.Frames[i]
		if !f.Warmup && f.Phase == t.Phase && f.OffsetS >= t.StartS-0.01 {
			w.from, w.to = f.OffsetS, f.OffsetS+t.Seconds
			break
		}
	}
	return load{w, t}
}

// lightest is the closed load with the fewest users that succeeded, if it has fewer than the best.
func (s *sight) lightest() *load {
	var least *record.Trial
	for i := range s.res.Trials {
		t := &s.res.Trials[i]
		if t.Load.Users > 0 && t.GoodputPerSecond > 0 && t.Verdict != verdictInvalid && !pressing(t.Phase) && t.Phase != record.PhaseTests && (least == nil || t.Load.Users < least.Load.Users) {
			least = t
		}
	}
	if least == nil || least == s.best {
		return nil
	}
	l := s.at(least)
	return &l
}

// afterLoad is from the first instant after the last heavy load at which nothing was in flight until something was
// restarted, or until the end.
func (s *sight) afterLoad() *window {
	end := math.Inf(1)
	for _, e := range s.run.Events {
		if name := phaseOf(e); name == "restart" || name == "done" {
			end = math.Min(end, e.OffsetS)
		}
	}
	from := 0.0
	for i := range s.res.Trials {
		t := &s.res.Trials[i]
		if t.StartS < end {
			from = math.Max(from, t.StartS+t.Seconds)
		}
	}
	last, quiet := 0.0, math.Inf(1)
	for i := range s.run.Frames {
		f := &s.run.Frames[i]
		if f.OffsetS >= end {
			break
		}
		last = f.OffsetS + f.Seconds
		if f.OffsetS+0.01 < from {
			continue
		}
		if f.InFlight == 0 && math.IsInf(quiet, 1) {
			quiet = last
		}
	}
	if math.IsInf(quiet, 1) || last-quiet < 2 {
		return nil
	}
	return &window{index: s.index, from: quiet, to: math.Min(last, end)}
}

// saturated says whether there is a bottleneck to name: more users stopped helping, or users wait at least as long for
// each other as a journey takes by itself.
func (s *sight) saturated() bool {
	if flat(s.res.Trials) {
		return true
	}
	if s.lone == nil || s.lone.trial.Latency.MeanMs == nil || s.best.Latency.MeanMs == nil {
		return false
	}
	return *s.best.Latency.MeanMs >= 2**s.lone.trial.Latency.MeanMs
}

// stuck says whether the target did not come back by itself after the load.
func (s *sight) stuck() bool {
	if s.res.Recovery == nil {
		return false
	}
	return slices.Contains([]string{record.Stuck, record.StuckRestart, record.Degraded, record.Crashed}, s.res.Recovery.Class)
}

// slowToRecover says whether the target took longer to come back than its backlog.
func (s *sight) slowToRecover() bool {
	return s.res.Recovery != nil && s.res.Recovery.Class == record.Slow
}

// rank of a load among those that are looked at.
func (s *sight) rank(l load) int {
	for i := range s.loads {
		if s.loads[i].trial == l.trial {
			return i
		}
	}
	return len(s.loads)
}

// processes are the kernel's readings of a service within a window.
func (s *sight) processes(w window, service string) []*record.ProcessReading {
	var out []*record.ProcessReading
	for i := range s.run.Procs {
		if p := &s.run.Procs[i]; p.Service == service && p.Error == "" && p.OffsetS >= w.from-slack && p.OffsetS <= w.to+0.5 {
			out = append(out, p)
		}
	}
	return out
}

// busiestThread is the mean of the busiest thread's share of a core within a window, percent.
func (s *sight) busiestThread(w window, service string) (float64, bool) {
	sum, n := 0.0, 0.0
	for _, p := range s.processes(w, service) {
		if p.BusiestThreadPercent != nil {
			sum, n = sum+*p.BusiestThreadPercent, n+1
		}
	}
	return sum / math.Max(1, n), n > 0
}

// machine is the mean use of captest's own machine within a window, in cores, where the target shares it.
func (s *sight) machine(w window) (cores float64, ok bool) {
	if !s.run.Info.Host.Colocated {
		return 0, false
	}
	sum, n := 0.0, 0.0
	for i := range s.run.Hosts {
		if h := &s.run.Hosts[i]; h.CPUPercent != nil && h.OffsetS >= w.from && h.OffsetS <= w.to {
			sum, n = sum+*h.CPUPercent/100, n+1
		}
	}
	return sum / math.Max(1, n) * float64(s.run.Info.Host.CPUs), n > 0
}

// allCoresBusy says whether the machine that captest and the target share had no core left within a window.
func (s *sight) allCoresBusy(w window) bool {
	all, ok := s.machine(w)
	return ok && all > 0.95*float64(s.run.Info.Host.CPUs)
}

// cores the target's processes could use: known only when they share this machine.
func (s *sight) cores() (float64, bool) {
	h := s.run.Info.Host
	return float64(h.CPUs), h.Colocated && h.CPUs > 0
}

// bestTrial is the valid closed level with the highest goodput; without one, the valid fixed or open load with the highest.
func bestTrial(trials []record.Trial) *record.Trial {
	for _, fit := range []func(*record.Trial) bool{
		func(t *record.Trial) bool { return t.Load.Users > 0 && t.Phase != "fixed" },
		func(*record.Trial) bool { return true },
	} {
		var best *record.Trial
		for i := range trials {
			t := &trials[i]
			if fit(t) && !pressing(t.Phase) && t.Phase != record.PhaseTests && t.Verdict != verdictInvalid && t.N > 0 && (best == nil || t.GoodputPerSecond > best.GoodputPerSecond) {
				best = t
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

// flat says whether more users stopped helping: some load of at least twice the users brought no more than 10 % over a
// smaller one, and nothing did better than that. Only then is there a bottleneck to name.
func flat(trials []record.Trial) bool {
	best, fewest, most := 0.0, 0, 0
	closed := func(visit func(record.Trial)) {
		for _, t := range trials {
			if t.Load.Users > 0 && t.Verdict != verdictInvalid && t.N > 0 && t.Phase != "fixed" && t.Phase != record.PhaseTests {
				visit(t)
			}
		}
	}
	closed(func(t record.Trial) { best = max(best, t.GoodputPerSecond) })
	closed(func(t record.Trial) {
		most = max(most, t.Load.Users)
		if t.GoodputPerSecond >= best/1.1 && (fewest == 0 || t.Load.Users < fewest) {
			fewest = t.Load.Users
		}
	})
	return fewest > 0 && most >= 2*fewest
}
