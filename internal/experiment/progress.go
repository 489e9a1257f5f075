package experiment

import (
	"runtime"
	"sync"
	"time"

	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
)

// progress is what a run says of itself while it runs: phase, time left, probes, warnings. decorate copies it into the
// snapshot; nothing here is ever waited for by the load.
type progress struct {
	c     Config
	cores int

	mu       sync.Mutex
	phase    string
	note     string
	began    time.Duration
	expected time.Duration
	behind   time.Duration
	last     time.Duration // of the tests at the end of the run
	healing  time.Duration // when the recovery test began; 0: it has not
	probes   map[string]record.ProbeNow
	warnings []string
	steer    *steering // of the load in progress; nil: it cannot be changed
}

// maxWarnings bounds what the screen keeps; the run folder has them all.
const maxWarnings = 20

func newProgress(c Config) *progress {
	return &progress{c: c, cores: runtime.GOMAXPROCS(0), probes: map[string]record.ProbeNow{}}
}

// enter starts a phase that is expected to last so long (0: unknown).
func (p *progress) enter(phase, note string, expected time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase, p.note, p.expected, p.began = phase, note, expected, time.Duration(p.c.Clock.Now())
	if phase == "settle" && p.healing == 0 {
		p.healing = p.began
	}
}

func (p *progress) warn(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.warnings) < maxWarnings {
		p.warnings = append(p.warnings, text)
	}
}

func (p *progress) probed(x record.Probe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := x.Probe + ", " + x.Connection + " connection"
	p.probes[name] = record.ProbeNow{Name: name, OK: x.OK, Ms: x.Ms}
}

// probeOrder keeps the screen's lines where they are.
var probeOrder = []string{
	"functional, fresh connection", "functional, kept connection",
	"health, fresh connection", "health, kept connection",
}

// decorate fills in what the recorder cannot know. It runs on the recorder's goroutine and only reads memory.
func (p *progress) decorate(s *record.Snapshot) {
	s.Scenario, s.Target, s.Profile = p.c.Scenario.Name, p.c.Target.Name, p.c.Target.Profile
	s.Gauges = p.c.Observer.Gauges()
	if cpu := p.c.Observer.Host().GeneratorCPUPercent; cpu != nil {
		s.GeneratorCPUPercent = *cpu
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Duration(p.c.Clock.Now())
	s.Phase, s.PhaseNote, s.Done = p.phase, p.note, p.phase == "done"
	spent := now - p.began
	s.SteerWhy = whyFixed(p.c)
	if p.steer != nil {
		p.steer.show(s, &spent)
	}
	if p.expected > 0 {
		s.PhaseLeft = max(0, p.expected-spent)
		s.Left = s.PhaseLeft + p.after()
		if p.healing > 0 && p.phase != PhaseTests { // of the recovery test, however its parts turn out
			s.Left = max(s.PhaseLeft, recoveryOf(p.c.Effort).usual()-(now-p.healing)) + p.last
		}
	}
	if b := p.c.Battery; b != nil {
		s.Left = max(s.PhaseLeft, BatteryUsual-now) + b.Ahead
	}
	s.Warnings = append([]string(nil), p.warnings...)
	s.Health = s.Health[:0:0]
	for _, name := range probeOrder {
		if x, ok := p.probes[name]; ok {
			s.Health = append(s.Health, x)
		}
	}
}

// ahead says what is expected behind the trial or check that begins now, while the search lasts.
func (p *progress) ahead(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behind = max(0, d)
}

// atTheEnd says how long the tests take that are made at the end of the run; 0 from when they are.
func (p *progress) atTheEnd(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = d
}

// after estimates what comes behind the phase in progress: the search's own estimate, then the recovery of a target that heals.
func (p *progress) after() time.Duration {
	if p.c.Fixed != nil {
		return 0
	}
	switch p.phase {
	case "preflight", "quiet":
		quiet, late := p.c.testsAhead()
		return seconds(search.Plan{Effort: p.c.Effort}.Remaining(nil)) + quiet + recoveryOf(p.c.Effort).usual() + late
	case search.PhaseBaseline, search.PhaseRamp, search.PhaseLevel, search.PhaseBracket, search.PhaseClassify, search.PhaseConfirm, "drain", PhaseTests:
		return p.behind + p.last
	}
	return p.last
}

func (p *progress) current() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.phase
}
