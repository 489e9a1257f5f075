package search

import (
	"math"
	"strings"
	"testing"
)

// TestLasts compares the diffusion with simulated queues: the rate that most trials of ten minutes hold, found by halving.
func TestLasts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		queue queue
		c2    float64
	}{
		"4 servers, c=0.3":      {queue{servers: 4, mean: 0.25, shape: "lognormal", cv: 0.3, inflate: 0.02}, 0.09},
		"4 servers, c=0.6":      {queue{servers: 4, mean: 0.25, shape: "lognormal", cv: 0.6, inflate: 0.02}, 0.36},
		"1 server, exponential": {queue{servers: 1, mean: 0.05, shape: "exponential", inflate: 0.02}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := float64(c.queue.servers)
			s := slowing{mean: c.queue.mean / m, users: m, each: c.queue.inflate * c.queue.mean / m, singleS: c.queue.mean, c2: c.c2}
			want := truth(c.queue, nil)
			got := s.lasts(holdSeconds)
			if math.Abs(got/want-1) > collapseError {
				t.Errorf("lasts at %.3g/s in theory, simulated at %.3g/s", got, want)
			}
			if short := s.lasts(15); !(short > got && short < m/c.queue.mean) {
				t.Errorf("15 s are survived at %.3g/s, ten minutes at %.3g/s", short, got)
			}
			many := slowing{mean: s.mean / 100, users: 100 * m, each: s.each / 1e4, singleS: s.singleS, c2: s.c2} // a hundred times as large
			if short, long := many.lasts(15), many.lasts(holdSeconds); !(short > 90*got && short > long && long > 90*got) {
				t.Errorf("a hundred times as many servers last 15 s at %.3g/s, ten minutes at %.3g/s", short, long)
			}
			s.each /= 1000 // hardly slower: no collapse before the load is what it completes
			if got := s.lasts(holdSeconds) * c.queue.mean / m; got < 0.97 || got > 1.01 {
				t.Errorf("%.3g of what a steady queue completes", got)
			}
		})
	}
}

// TestCollapse: where more users slow a target down, the interval is lowered to what holds for ten minutes, and the note says by how much; not where a latency limit
// breaks long before, and not for a steady target.
func TestCollapse(t *testing.T) {
	t.Parallel()
	slow := queue{servers: 4, mean: 0.1, shape: "exponential", inflate: 0.02}
	a := seek(Plan{}, slow, nil, 7).answer
	if c := a.Collapse; c == nil || c.SlowerPercent < 0.5 || c.SlowerPercent > 4 || c.LoweredPercent <= 0 || !strings.Contains(a.Note, "then collapse") {
		t.Errorf("%+v, note %q", a.Collapse, a.Note)
	}
	if a.Confirmed >= a.Lower || a.Foreseen != nil {
		t.Errorf("from %.3g, held %.3g, foreseen %+v", a.Confirmed, a.Lower, a.Foreseen)
	}
	tight := seek(Plan{Limits: []string{"p95<320ms"}}, slow, []limit{{p95Ms: 320}}, 7).answer
	for name, a := range map[string]Answer{"a tight limit": tight, "steady": seek(Plan{}, queue{servers: 4, mean: 0.1, shape: "exponential"}, nil, 7).answer} {
		if a.Collapse != nil {
			t.Errorf("%s: %+v", name, a.Collapse)
		}
	}
	if s, ok := (Plan{}).view(nil).slows(); ok {
		t.Errorf("nothing measured slows down: %+v", s)
	}
}
