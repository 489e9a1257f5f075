package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
)

// band is a stretch of the run under one phase and load.
type band struct {
	From, To float64
	Phase    string
	Label    string // "8 users", or the phase where there is no load
	Tone     string // "load", "overload", "rest"
}

// bandsOf reads the phases off the frames.
func bandsOf(frames []record.Frame) []band {
	var out []band
	for i := range frames {
		f := &frames[i]
		if !sane(f) {
			continue
		}
		load := record.Load{Users: f.Users, RatePerSecond: f.RatePerSecond}
		b := band{From: f.OffsetS, To: f.OffsetS + f.Seconds, Phase: cut(clean(f.Phase), nameMax), Label: cut(clean(f.Phase), nameMax), Tone: "rest"}
		if f.Trial >= 0 && (load.Users > 0 || load.RatePerSecond > 0) {
			b.Label, b.Tone = gate.Load(load), "load"
			if f.Phase == "overload" || f.Phase == "abort" {
				b.Tone = "overload"
			}
		}
		if n := len(out); n > 0 && out[n-1].Phase == b.Phase && out[n-1].Label == b.Label && b.From-out[n-1].To < 1 {
			out[n-1].To = b.To
			continue
		}
		if len(out) == rowsMax {
			out[rowsMax-1].To, out[rowsMax-1].Label = b.To, "…"
			continue
		}
		out = append(out, b)
	}
	return out
}

// latest instant that is believed, in seconds: four months.
const latest = 1e7

// sane frames lie within a run; a damaged folder may hold others.
func sane(f *record.Frame) bool {
	return f.Seconds > 0 && f.OffsetS >= 0 && f.OffsetS+f.Seconds < latest
}

// second is about one second of frames: trial boundaries cut frames shorter, and a rate over 50 ms would be noise.
type second struct {
	at                 float64 // middle
	seconds            float64
	n, ok, dropped     uint64
	response           *record.Histogram // nil while nothing was measured, and once settled
	measured           uint64            // requests behind the quantiles
	p50, p95, top      float64           // ms
	inFlight           float64           // ∫ in flight
	open, opened, peak float64
}

// shortest stretch a rate is computed over.
const shortest = 0.5

func secondsOf(frames []record.Frame) []second {
	var out []second
	var cur *second
	from := 0.0
	for i := range frames {
		f := &frames[i]
		if !sane(f) {
			continue
		}
		if cur == nil {
			out = append(out, second{})
			cur, from = &out[len(out)-1], f.OffsetS
		}
		cur.seconds += f.Seconds
		cur.at = (from + f.OffsetS + f.Seconds) / 2
		cur.dropped += f.Dropped
		cur.inFlight += f.InFlightMean * f.Seconds
		cur.open = float64(f.Connections.Open)
		cur.peak = max(cur.peak, float64(f.Connections.Peak))
		cur.opened += float64(f.Connections.Opened)
		for _, s := range f.Steps {
			if s == nil {
				continue
			}
			cur.n += s.N
			cur.ok += min(s.OK, s.N)
			cur.decode(s.Response)
		}
		if cur.seconds >= shortest {
			cur.settle()
			cur = nil
		}
	}
	if cur != nil {
		cur.settle()
	}
	return out
}

// decode adds a step's histogram; Summarise has warned of damaged ones.
func (s *second) decode(encoded string) {
	if encoded == "" {
		return
	}
	h, err := record.Decode(encoded)
	switch {
	case err != nil:
	case s.response == nil:
		s.response = h
	default:
		s.response.Merge(h)
	}
}

// settle keeps the quantiles and lets the histogram go: an hour of them would fill the memory.
func (s *second) settle() {
	if s.measured = s.response.N(); s.measured > 0 {
		s.p50, s.p95, s.top = s.response.QuantileMs(0.50), s.response.QuantileMs(0.95), s.response.MaxMs()
	}
	s.response = nil
}

// timelineOf draws throughput, latency and concurrency over the run.
func timelineOf(frames []record.Frame) []chart {
	list := secondsOf(frames)
	if len(list) == 0 {
		return nil
	}
	var x, good, bad, dropped, p50, p95, top, inFlight, open []float64
	var ns []uint64
	errors, drops := false, false
	for i, s := range list {
		if i > 0 && s.at-list[i-1].at > 2.5*max(1, s.seconds) { // nothing was recorded in between: do not draw a line across
			x = append(x, (s.at+list[i-1].at)/2)
			for _, y := range []*[]float64{&good, &bad, &dropped, &p50, &p95, &top, &inFlight, &open} {
				*y = append(*y, math.NaN())
			}
		}
		x = append(x, s.at)
		good = append(good, float64(s.ok)/s.seconds)
		bad = append(bad, float64(s.n-s.ok)/s.seconds)
		dropped = append(dropped, float64(s.dropped)/s.seconds)
		errors, drops = errors || s.n > s.ok, drops || s.dropped > 0
		if s.measured == 0 {
			p50, p95, top = append(p50, math.NaN()), append(p95, math.NaN()), append(top, math.NaN())
		} else {
			ns = append(ns, s.measured)
			p50, p95, top = append(p50, s.p50), append(p95, s.p95), append(top, s.top)
		}
		inFlight = append(inFlight, s.inFlight/s.seconds)
		open = append(open, s.open)
	}
	throughput := chart{ID: "throughput", Title: "Throughput", Unit: "/s", X: x, Series: []series{{Name: "good", Color: 1, Y: good}}}
	throughput.Series = append(throughput.Series, series{Name: "errors", Color: 2, Y: bad})
	throughput.Alt = fmt.Sprintf("Good answers a second over the run, at most %s/s", digits3(throughput.top()))
	if !errors {
		throughput.Alt += "; no errors"
	}
	if drops {
		throughput.Series = append(throughput.Series, series{Name: "dropped", Color: 3, Dash: true, Y: dropped})
	}
	latency := chart{
		ID: "latency", Title: "Response time", Unit: "ms", X: x,
		Series: []series{{Name: "p50", Color: 1, Y: p50}, {Name: "p95", Color: 3, Y: p95}, {Name: "max", Color: 4, Dash: true, Y: top}},
	}
	latency.Alt = fmt.Sprintf("Response time of each second over the run, at most %s; each point stands on %s (median)",
		millis(latency.top()), plural(median(ns), "request", "requests"))
	concurrency := chart{
		ID: "concurrency", Title: "In flight and connections", X: x,
		Series: []series{{Name: "requests in flight", Color: 1, Y: inFlight}, {Name: "connections open", Color: 3, Dash: true, Y: open}},
	}
	concurrency.Alt = fmt.Sprintf("Requests in flight and captest's open connections over the run, at most %s", number(math.Round(concurrency.top())))
	return []chart{throughput, latency, concurrency}
}

func median(ns []uint64) uint64 {
	if len(ns) == 0 {
		return 0
	}
	ns = slices.Clone(ns)
	slices.Sort(ns)
	return ns[len(ns)/2]
}
