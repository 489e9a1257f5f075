package queueing

import (
	"fmt"
	"math"
	"slices"
)

// Stairs is the form in which the answers to requests come that were sent at the same instant.
type Stairs string

// Forms of [Staircase].
const (
	Even     Stairs = "even"     // one after the other, evenly: one server, first come first served
	Steps    Stairs = "steps"    // in groups of m, or m at a time with times that blur the groups
	Together Stairs = "together" // all of them when one alone would: none waits for another
	Shared   Stairs = "shared"   // late and all at the end: servers divide their time among all (processor sharing)
	Unclear  Stairs = "unclear"  // more than one of these fits
)

// Staircase is what bursts of simultaneous requests say of the resource they wait for, without a look at the server.
type Staircase struct {
	Form    Stairs
	Servers Interval // m; of a Together form as many as there were requests, at least; zero when Unclear
	Slope   Interval // s, seconds from one completion to the next: D/m of the resource; zero when Together or Unclear
	Service float64  // S = s·m, seconds of one server a request; zero when Together or Unclear
	First   float64  // seconds until the first answer and the last one, medians over the bursts
	Last    float64
	Bursts  int
	// Variation is the standard deviation of the gaps between answers ÷ their mean, the median over the bursts: 0 for answers at even
	// distances, about 1 for answers at random.
	Variation float64
}

// Of what tells the forms apart. The bounds were set in simulation (staircase_test.go): service times of coefficient of variation
// c ≤ 0.3, sixteen requests, five bursts.
const (
	fewestAnswers  = 8
	fewestBursts   = 2
	fewestAlone    = 3
	togetherMean   = 1.25 // mean answer ÷ answer to one alone, up to which nobody waited
	waitedMean     = 1.45 // and from which somebody did
	sharedFirst    = 1.5  // first answer ÷ answer to one alone, from which the first was slowed down by the others
	servedFirst    = 1.25 // and up to which it was not
	sharedSpan     = 0.5  // first ÷ last, from which they came at the end
	evenVariation  = 0.5  // of the gaps, up to which they are even: c itself where there is one server, nearly 1 or more where there are more
	unevenGaps     = 0.65 // and from which they are not
	clearGap       = 2.5  // smallest gap between groups ÷ largest within one
	clustersAgreed = 2    // bursts that show the same size of group, where none shows another
)

// EstimateStaircase takes the answer times of single requests and those of bursts, all in seconds. Measurement 5.2, T1.
//
// One first-come-first-served station of m servers with time S, after a delay that all have alike, answers request k at
// R(1) + S·(⌈k/m⌉ − 1): a staircase of mean slope s = S/m whose line meets k = 1 at R(1) − s·(m − 1)/2. Where groups are to be seen,
// m is their size; where service times blur them, it is taken from where the line begins, and is an interval.
//
// [Refusal] with fewer than two bursts of eight answers, or three single ones.
func EstimateStaircase(alone []float64, bursts [][]float64) (Staircase, error) {
	if len(alone) < fewestAlone {
		return Staircase{}, &Refusal{TooFewTrials, fmt.Sprintf("%d answers to single requests; a staircase needs %d to begin at", len(alone), fewestAlone), "ask the idle target more often"}
	}
	single := median(alone)
	if err := positive("response time of one request in seconds", single); err != nil {
		return Staircase{}, err
	}
	unsure := around(alone)
	var all []burst
	for i, b := range bursts {
		for k, v := range b {
			if err := notNegative(fmt.Sprintf("answer %d of burst %d in seconds", k, i), v); err != nil {
				return Staircase{}, err
			}
		}
		if len(b) >= fewestAnswers {
			all = append(all, burstOf(single, b))
		}
	}
	if len(all) < fewestBursts {
		return Staircase{}, &Refusal{TooFewTrials, fmt.Sprintf("%d bursts of %d answers or more; a staircase needs %d", len(all), fewestAnswers, fewestBursts), "send more bursts, or find out why requests of one fail"}
	}
	of := func(v func(*burst) float64) []float64 {
		var out []float64
		for i := range all {
			out = append(out, v(&all[i]))
		}
		return out
	}
	n := float64(len(all[0].at))
	out := Staircase{
		Form: Unclear, Bursts: len(all),
		First: median(of(func(b *burst) float64 { return b.at[0] })), Last: median(of(func(b *burst) float64 { return b.at[len(b.at)-1] })),
	}
	out.Variation = median(of(func(b *burst) float64 { return b.variation }))
	mean := median(of(func(b *burst) float64 { return b.mean })) / single
	first := out.First / single
	size := agreed(of(func(b *burst) float64 { return b.group }))
	switch {
	case mean <= togetherMean && size == 0:
		out.Form, out.Servers = Together, Interval{n, n, math.Inf(1)}
		return out, nil
	case mean < waitedMean:
		return out, nil
	case first >= sharedFirst && out.First >= sharedSpan*out.Last:
		// n requests of S seconds each, shared by m servers, are done at n·S/m.
		slope := around(of(func(b *burst) float64 { return b.at[len(b.at)-1] / n }))
		if slope.Low <= 0 || slope.High > 3*slope.Low {
			return out, nil // bursts differ too much to count servers
		}
		out.Form, out.Slope = Shared, slope
		out.Service = single
		out.Servers = Interval{single / out.Slope.High, single / out.Slope.Value, single / out.Slope.Low}
		return out, nil
	case first > servedFirst:
		return out, nil
	}
	out.Slope = around(of(func(b *burst) float64 { return b.slope }))
	if out.Slope.Low <= 0 || out.Slope.High > 3*out.Slope.Low {
		out.Slope = Interval{}
		return out, nil
	}
	most := 1.15 * unsure.High / out.Slope.Value // m = S/s and S ≤ R(1)
	m := around(of(func(b *burst) float64 { return b.servers }))
	// What R(1), known only so well, and a line through blurred steps leave open of m, beside how bursts differ. Simulation has the
	// line 10 to 20 % low at m = 4.
	off := (unsure.High - unsure.Low) / out.Slope.Value
	m.Low, m.High = math.Max(1, math.Min(m.Low, 0.75*m.Value-off)), math.Max(m.High, 1.35*m.Value+off)
	m.Value, m.High = math.Min(m.Value, most), math.Min(m.High, math.Max(most, m.Value))
	switch uneven := out.Variation; {
	case uneven <= evenVariation, uneven <= unevenGaps && size == 0 && m.Value <= 1.2 && m.High < 2:
		// What comes behind the server blurs its steps too; two servers begin half a step earlier.
		out.Form, out.Servers = Even, Interval{1, 1, 1}
	case size > 1 && m.Low-0.5 <= size && size <= 1.25*m.High+0.5:
		out.Form, out.Servers = Steps, Interval{size, size, size}
	case uneven >= unevenGaps && m.Value >= 1.5 && m.Low <= m.Value && m.High < 3*m.Low+1.5:
		out.Form, out.Servers = Steps, m
	}
	if out.Form == Unclear {
		out.Slope = Interval{}
		return out, nil
	}
	out.Service = out.Slope.Value * out.Servers.Value
	return out, nil
}

// burst is one of them, its answers in order.
type burst struct {
	at        []float64
	mean      float64
	slope     float64 // s
	variation float64 // standard deviation ÷ mean of the gaps
	group     float64 // size of its groups; 0 where there are none to be seen
	servers   float64 // m by where its line begins
}

func burstOf(single float64, answers []float64) burst {
	b := burst{at: slices.Clone(answers)}
	slices.Sort(b.at)
	n := len(b.at)
	for _, v := range b.at {
		b.mean += v / float64(n)
	}
	var gaps []float64
	for k := 1; k < n; k++ {
		gaps = append(gaps, b.at[k]-b.at[k-1])
	}
	step := (b.at[n-1] - b.at[0]) / float64(n-1)
	if step <= 0 {
		return b
	}
	sum := 0.0
	for _, g := range gaps {
		sum += (g - step) * (g - step)
	}
	b.variation = math.Sqrt(sum/float64(len(gaps)-1)) / step
	b.group = groupSize(gaps)
	start := b.line()
	if b.group > 1 { // the middles of two groups are S apart, and S = s·m
		b.slope = b.stepOf(int(b.group)) / b.group
	}
	if b.slope > 0 {
		b.servers = math.Max(1, 1+2*(single-start)/b.slope)
	}
	return b
}

// line fits at = start + slope·(k − 1) and gives start. The last quarter is left out: servers run dry there.
func (b *burst) line() (start float64) {
	n := len(b.at) - len(b.at)/4
	mk, mt := float64(n-1)/2, 0.0
	for k := range n {
		mt += b.at[k] / float64(n)
	}
	xy, xx := 0.0, 0.0
	for k := range n {
		xy += (float64(k) - mk) * (b.at[k] - mt)
		xx += (float64(k) - mk) * (float64(k) - mk)
	}
	b.slope = xy / xx
	return mt - b.slope*mk
}

// stepOf is the mean distance of the middles of whole groups of m.
func (b *burst) stepOf(m int) float64 {
	groups := len(b.at) / m
	if groups < 2 {
		return 0
	}
	middle := func(g int) float64 {
		sum := 0.0
		for _, v := range b.at[g*m : (g+1)*m] {
			sum += v / float64(m)
		}
		return sum
	}
	return (middle(groups-1) - middle(0)) / float64(groups-1)
}

// groupSize splits gaps at the widest jump between their sorted sizes, into those within groups and those between, and gives the
// size of most groups; 0 where there is no clear jump, or groups are of different sizes.
func groupSize(gaps []float64) float64 {
	sorted := slices.Clone(gaps)
	slices.Sort(sorted)
	at, widest := 0, 0.0
	for i := 1; i < len(sorted); i++ {
		if d := sorted[i] - sorted[i-1]; d > widest {
			at, widest = i, d
		}
	}
	if at == 0 || sorted[at] < clearGap*sorted[at-1] {
		return 0
	}
	var sizes []float64
	size := 1.0
	for _, g := range gaps {
		if g >= sorted[at] {
			sizes = append(sizes, size)
			size = 0
		}
		size++
	}
	// The last group is what is left over.
	if commonSize, share := commonest(sizes); len(sizes) > 1 && share >= 0.75 || len(sizes) == 1 && size <= commonSize {
		return commonSize
	}
	return 0
}

// agreed is the size of groups that several bursts show while none shows another; 0 where there is none.
func agreed(sizes []float64) float64 {
	size, n := 0.0, 0
	for _, v := range sizes {
		switch {
		case v <= 1:
		case size != 0 && v != size:
			return 0
		default:
			size, n = v, n+1
		}
	}
	if n < clustersAgreed {
		return 0
	}
	return size
}

// commonest value and the share of all that it has; of several the smallest.
func commonest(v []float64) (value, share float64) {
	for _, x := range v {
		n := 0.0
		for _, y := range v {
			if y == x {
				n++
			}
		}
		if s := n / float64(len(v)); s > share || s == share && x < value {
			value, share = x, s
		}
	}
	return value, share
}

// around is the median of independent values with 95 % bounds of their mean's spread: t·s/√n (Student 1908).
func around(v []float64) Interval {
	mid, n := median(v), float64(len(v))
	mean, sum := 0.0, 0.0
	for _, x := range v {
		mean += x / n
	}
	for _, x := range v {
		sum += (x - mean) * (x - mean)
	}
	half := studentQuantile(0.975, n-1) * math.Sqrt(sum/(n-1)) / math.Sqrt(n)
	return Interval{mid - half, mid, mid + half}
}
