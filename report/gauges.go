package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/captest/captest/internal/record"
)

// gaugeKind is a target gauge worth a diagram: what its readings are called in the metrics, and how to read them.
type gaugeKind struct {
	id, title, unit string
	metric          string
	limit           string  // metric of its maximum, drawn dashed; "" for none
	rate            float64 // > 0: the metric is a counter; its growth per second times this, averaged over its series
}

// In the order a registration meets them.
var gaugeKinds = []gaugeKind{
	{id: "in-progress", title: "Requests in progress", metric: "http_requests_in_progress"},
	{id: "loop", title: "Event loop busy", unit: "%", metric: "event_loop_busy_seconds_total", rate: 100},
	{id: "hash-busy", title: "Hash pool busy", metric: "hash_pool_busy", limit: "hash_pool_size"},
	{id: "hash-queue", title: "Waiting for the hash pool", metric: "hash_pool_queue"},
	{id: "semaphore", title: "Semaphore in use", metric: "semaphore_in_use", limit: "semaphore_limit"},
	{id: "semaphore-waiting", title: "Waiting for the semaphore", metric: "semaphore_waiting"},
	{id: "pool", title: "Downstream connections in use", metric: "http_client_connections_in_use"},
	{id: "pool-open", title: "Downstream connections open", metric: "http_client_connections_open"},
	{id: "breaker", title: "Circuit breaker (0 closed, 1 half-open, 2 open)", metric: "circuit_breaker_state"},
	{id: "fds", title: "Open file descriptors", metric: "process_open_fds", limit: "process_max_fds"},
	{id: "goroutines", title: "Goroutines", metric: "go_goroutines"},
}

// palette orders the colours so that red, which means errors elsewhere, comes last.
var palette = []int{1, 5, 3, 6, 4, 2}

// nameMax bounds a line's name in a legend.
const nameMax = 32

// linesMax bounds the lines of one diagram: more cannot be told apart.
const linesMax = 6

// gaugesOf draws the target's gauges over time. flat names those that stood at zero all along.
func gaugesOf(scrapes []record.Scrape) (charts []chart, flat []string) {
	byService := map[string]*scraped{}
	for _, s := range scrapes {
		if !(s.OffsetS >= 0 && s.OffsetS < latest) {
			continue
		}
		if byService[s.Service] == nil {
			byService[s.Service] = &scraped{names: map[string]map[string][]string{}, seen: map[string]bool{}}
		}
		byService[s.Service].add(s)
	}
	for _, k := range gaugeKinds {
		c := k.draw(byService)
		if len(c.Series) == 0 {
			continue
		}
		if c.top() == 0 {
			flat = append(flat, strings.ToLower(c.Title[:1])+c.Title[1:])
			continue
		}
		charts = append(charts, c)
	}
	return charts, flat
}

// scraped are one service's readings and the names in them, by metric and downstream: an hour has thousands of scrapes with
// the same few names, which are parsed once.
type scraped struct {
	scrapes []record.Scrape
	names   map[string]map[string][]string
	seen    map[string]bool
}

func (v *scraped) add(s record.Scrape) {
	v.scrapes = append(v.scrapes, s)
	for name := range s.Values {
		if v.seen[name] {
			continue
		}
		v.seen[name] = true
		base, label := splitMetric(name)
		if v.names[base] == nil {
			v.names[base] = map[string][]string{}
		}
		v.names[base][label] = append(v.names[base][label], name)
	}
}

// reading is one line of a diagram before the lines are aligned.
type reading struct {
	name   string
	place  int // of its service among all, for the colour
	dash   bool
	x, y   []float64
	misses []float64
}

func (k gaugeKind) draw(byService map[string]*scraped) chart {
	c := chart{ID: k.id, Title: k.title, Unit: k.unit}
	var lines []reading
	for place, service := range sortedKeys(byService) {
		for _, label := range sortedKeys(byService[service].names[k.metric]) {
			name := clean(service)
			if label != "" {
				name += " → " + clean(label)
			}
			line := k.read(byService[service], label, k.metric)
			name = cut(name, nameMax)
			line.name, line.place = name, place
			lines = append(lines, line)
			if k.limit != "" {
				limit := k.read(byService[service], label, k.limit)
				limit.name, limit.dash, limit.misses = name+", limit", true, nil
				lines = append(lines, limit)
			}
		}
	}
	lines = k.keep(lines)
	for i, l := range lines {
		c.Marks = append(c.Marks, l.misses...)
		s := series{Name: l.name, Dash: l.dash}
		if l.dash && i > 0 { // a limit wears its own line's colour
			s.Color = c.Series[i-1].Color
		} else {
			s.Color = freeColor(c.Series, l.place)
		}
		c.Series = append(c.Series, s)
	}
	slices.Sort(c.Marks)
	c.Marks = slices.Compact(c.Marks)
	if len(c.Marks) > pointsMax {
		c.Marks = c.Marks[:pointsMax]
	}
	align(&c, lines)
	c.Alt = fmt.Sprintf("%s over the run, at most %s", k.title, inUnit(c.top(), k.unit))
	if len(c.Marks) > 0 {
		c.Alt += fmt.Sprintf("; %s could not be read", plural(uint64(len(c.Marks)), "scrape", "scrapes"))
	}
	return c
}

// freeColor gives a service the same colour in every diagram, unless another line of this one has it already.
func freeColor(taken []series, place int) int {
	for i := range palette {
		color := palette[(place+i)%len(palette)]
		if !slices.ContainsFunc(taken, func(s series) bool { return s.Color == color }) {
			return color
		}
	}
	return palette[place%len(palette)]
}

// keep drops lines without a value, lines that stand at zero beside others that move, limits that are out of all proportion (a descriptor limit of a million), and all but
// the highest lines.
func (k gaugeKind) keep(lines []reading) []reading {
	peak := func(l reading) float64 { return chart{Series: []series{{Y: l.y}}}.top() }
	moves := slices.ContainsFunc(lines, func(l reading) bool { return !l.dash && peak(l) > 0 })
	var out []reading
	for i, l := range lines {
		if moves && (peak(l) == 0 || l.dash && peak(lines[i-1]) == 0) {
			continue
		}
		if !slices.ContainsFunc(l.y, func(v float64) bool { return !math.IsNaN(v) }) {
			continue
		}
		if l.dash && (len(out) == 0 || peak(l) > 4*peak(out[len(out)-1]) || peak(l) == 0) {
			continue
		}
		out = append(out, l)
	}
	for len(out) > linesMax {
		at := 0
		for i := range out {
			if cmp.Compare(peak(out[i]), peak(out[at])) <= 0 {
				at = i
			}
		}
		out = slices.Delete(out, at, at+1)
	}
	return out
}

// read takes one metric of one service through time; several series of it (workers) are added, or averaged when it is a rate.
func (k gaugeKind) read(v *scraped, label, metric string) reading {
	var r reading
	names := v.names[metric][label]
	last, lastAt := math.NaN(), 0.0
	for _, s := range v.scrapes {
		if s.Error != "" {
			r.misses = append(r.misses, s.OffsetS)
			r.x, r.y = append(r.x, s.OffsetS), append(r.y, math.NaN())
			continue
		}
		sum, n := 0.0, 0
		for _, name := range names {
			if x, ok := s.Values[name]; ok && !math.IsNaN(x) && !math.IsInf(x, 0) {
				sum += x
				n++
			}
		}
		value := math.NaN()
		switch {
		case n == 0:
		case metric == k.metric && k.rate > 0:
			total := sum / float64(n)
			if d := s.OffsetS - lastAt; !math.IsNaN(last) && d > 0 && total >= last {
				value = (total - last) / d * k.rate
			}
			last, lastAt = total, s.OffsetS
		default:
			value = sum
		}
		r.x, r.y = append(r.x, s.OffsetS), append(r.y, value)
	}
	return r
}

// splitMetric parts `name{downstream="billing",worker="0"}` into the name and the value of downstream, "" when it has none.
func splitMetric(s string) (base, downstream string) {
	base, labels, _ := strings.Cut(s, "{")
	const key = `downstream="`
	at := strings.Index(labels, key)
	if at < 0 {
		return base, ""
	}
	rest := labels[at+len(key):]
	value, _, _ := strings.Cut(rest, `"`)
	return base, value
}

// slotsMax bounds the instants a diagram is laid out on before it is thinned: six hours of seconds.
const slotsMax = 20_000

// align puts lines that were read at their own instants onto common ones, a second apart: every service is scraped on its own
// clock, and uPlot wants one x for all.
func align(c *chart, lines []reading) {
	from, to := math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, x := range l.x {
			from, to = min(from, x), max(to, x)
		}
	}
	if from > to {
		c.Series = nil
		return
	}
	step := max(1, (to-from)/slotsMax)
	n := int((to-from)/step) + 1
	c.X = make([]float64, n)
	for i := range c.X {
		c.X[i] = from + float64(i)*step
	}
	for i, l := range lines {
		y := make([]float64, n)
		filled := make([]bool, n)
		for j := range y {
			y[j] = math.NaN()
		}
		for j, x := range l.x {
			at := min(n-1, int((x-from)/step))
			// The peak of a second counts when two readings fall into it; a failed reading never hides a good one.
			if math.IsNaN(y[at]) || l.y[j] > y[at] {
				y[at] = l.y[j]
			}
			filled[at] = true
		}
		for j := 1; j < n-1; j++ { // two scrapes 1.02 s apart may skip a slot
			if !filled[j] && filled[j-1] && filled[j+1] {
				y[j] = y[j-1]
			}
		}
		c.Series[i].Y = y
	}
}

// hostChart draws the machine and captest itself.
func hostChart(hosts []record.HostReading) (chart, bool) {
	c := chart{ID: "host", Title: "CPU of this machine and of captest", Unit: "%"}
	var machine, own []float64
	for _, h := range hosts {
		if !(h.OffsetS >= 0 && h.OffsetS < latest) {
			continue
		}
		c.X = append(c.X, h.OffsetS)
		machine = append(machine, orNaN(h.CPUPercent))
		own = append(own, orNaN(h.GeneratorCPUPercent))
	}
	c.Series = []series{{Name: "machine (all cores = 100)", Color: 1, Y: machine}, {Name: "captest (one core = 100)", Color: 3, Dash: true, Y: own}}
	c.Alt = "CPU of the machine captest ran on and of captest itself, at most " + percent(c.top())
	return c, c.top() > 0
}

func orNaN(p *float64) float64 {
	if !finite(p) {
		return math.NaN()
	}
	return *p
}
