package diagnose

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

// TestARandomWorkerAnswers: three workers share a service's work evenly, each with counters of its own, and any of them answers a
// scrape. The rates are those of all three, nothing is negative and nothing restarts, and the diagnosis is that of one account.
func TestARandomWorkerAnswers(t *testing.T) {
	t.Parallel()
	for name, apart := range map[string]float64{"forked at once": 0.01, "begun one after another": 40} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := flatAt(10).with(healthy(), fullHashPool)
			s.change = func(run *record.Run, _ *record.Result) {
				rng := rand.New(rand.NewPCG(1, 2))
				for i := range run.Scrapes {
					x := &run.Scrapes[i]
					if x.Service != "user" {
						continue
					}
					k := float64(rng.IntN(3))
					for key, v := range x.Values {
						if strings.Contains(key, "_total") || strings.Contains(key, "_sum") || strings.Contains(key, "_count") {
							x.Values[key] = v/3 + 1000*k
						}
					}
					x.Values["process_start_time_seconds"] = 1.7e9 + apart*k
				}
			}
			run, res := s.play()
			w := window{index: indexOf(run), from: 35, to: 55}
			for _, metric := range []string{"hash_seconds_total", "process_cpu_seconds_total"} {
				if got, ok := w.rate("user", metric); !ok || math.Abs(got-1.97) > 0.1 {
					t.Errorf("%s grows by %v a second, %v", metric, got, ok)
				}
			}
			if c := record.Summarise(run).Connections.Target["user"]; c.Restarts != 0 {
				t.Errorf("%d restarts", c.Restarts)
			} else if d := c.Downstream["billing"]; d.Opened == nil || *d.Opened > 3 || *d.Requests > 300 {
				t.Errorf("connections %+v", d)
			}
			Explain(run, res)
			if got := named(res); len(got) != 1 || got[0] != "cpu-bound-hashing@user C2 slow-because" {
				t.Errorf("found %q", got)
			}
		})
	}
}

// TestAWorkerSeenOnceTellsNoRate: what two processes show, less each other, is no growth.
func TestAWorkerSeenOnceTellsNoRate(t *testing.T) {
	t.Parallel()
	run := &record.Run{}
	for i, started := range []float64{200, 100} {
		run.Scrapes = append(run.Scrapes, record.Scrape{OffsetS: float64(i), Service: "a", Values: map[string]float64{
			"process_start_time_seconds": started, "x_total": 1000 * float64(i),
		}})
	}
	if v, ok := (window{index: indexOf(run), from: 0, to: 2}).rate("a", "x_total"); ok {
		t.Errorf("a rate of %v", v)
	}
}
