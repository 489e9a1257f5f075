package search

import "math"

// Posterior of a capacity C, given open trials that passed or failed.
type Posterior struct {
	Low, High float64 // the credible interval's ends, per second
	Spread    float64 // the most likely s: how far verdicts scatter beyond what the trials' own resolution explains
	Against   float64 // how many times likelier it is than the smallest s
	Evidence  float64 // likelihood of the trials over what was thought of C before, so that two ways to think can be compared

	least, most, total float64
	mass               []float64 // per cell of ln C from least on, in all total
}

// Noisy says that loads passed and failed in no clear order: the target itself varies.
func (p Posterior) Noisy() bool { return p.Spread >= spreads[len(spreads)-1] && p.Against >= strong }

// spreads are the values of s, each as likely before.
var spreads = []float64{0.01, 0.02, 0.04, 0.08}

const (
	// strong evidence, as Jeffreys 1961 calls a Bayes factor of 10. The most likely s alone is 8 % by chance in a third of
	// all quick searches of a steady target: eight verdicts say little about it.
	strong   = 10
	lapse    = 0.02 // of verdicts that have nothing to do with the load
	gridStep = 0.01 // of ln C
)

// passBiases are the values of b, each as likely before: a trial fails only when its backlog shows, so half of the trials
// still pass at a load above capacity by b of their resolution. Simulated: 1.0 for one server of c = 0.3, 0.8 of four, for
// 50 as for 1000 arrivals; with a p95 limit from 1.0 in short trials down to 0 in those of a thousand arrivals. Without it
// every interval lies too high.
var passBiases = []float64{0, 0.5, 0.75, 1}

// prior is what is thought of capacity before the open loads.
type prior struct {
	least, most float64            // it lies between, per second
	scatter     []float64          // how likely each s of spreads is; nil: all alike
	foreseen    *foresight         // nil: ln C is flat
	aging       aging              // of the target …
	ago         map[*Trial]float64 // … since the middle of each trial, s
}

// credible computes it on a grid of ln C, flat or as foreseen, of s, of b and of the loss r of ln C per second:
//
//	P(pass | x) = 0.02 + 0.96·Φ((ln C + r·t + b·ε − ln x) / sqrt(s² + (ε/z)²))
//
// t before the last trial, times the weights of s and r, multiplied over all valid trials, the mass share of it between equal tails. Source: measurement
// 3.5. A trial's own resolution ε adds to s: simulated queues of c = 1 show verdicts that scatter over 20 % in a trial of 60 arrivals, which
// no s of the design's grid explains, and which calling the target noisy would blame on it.
func credible(trials []Trial, before prior, share float64) Posterior {
	if before.least <= 0 || before.most <= before.least {
		return Posterior{Low: before.least, High: before.most}
	}
	from, losses := math.Log(before.least), before.aging
	flat := 1 / (math.Log(before.most) - from)
	if len(losses) == 0 {
		losses = aging{{0, 1}}
	}
	var seen []verdict
	for i := range trials {
		t := &trials[i]
		if t.Action.Kind != Open || t.Verdict.Outcome == Invalid || t.Action.Phase == PhaseOverload {
			continue
		}
		seen = append(seen, verdict{lnX: math.Log(t.Action.PerSecond), eps: t.Verdict.Resolution, ago: before.ago[t], failed: t.Verdict.Outcome == Fail})
	}
	mass := make([]float64, int(1/flat/gridStep)+1)
	total, top, least1 := 0.0, -1.0, 0.0
	var p Posterior
	for k, s := range spreads {
		weight, sum := 1.0, 0.0
		if k < len(before.scatter) {
			weight = before.scatter[k]
		}
		for i := range seen {
			seen[i].sd = math.Hypot(s, seen[i].eps/z95)
		}
		for _, l := range losses {
			for i := range mass {
				lnC := from + float64(i)*gridStep
				density := flat
				if before.foreseen != nil {
					density = before.foreseen.density(lnC + l.rate*before.foreseen.ago)
				}
				for _, bias := range passBiases {
					like := weight * l.weight * density
					for j := range seen {
						x := &seen[j]
						like *= x.given(lnC+l.rate*x.ago, bias)
					}
					mass[i] += like
					sum += like
				}
			}
		}
		total += sum
		if least1 == 0 {
			least1 = sum
		}
		if sum > top {
			top, p.Spread = sum, s
		}
	}
	p.Against = top / least1
	p.Evidence = total * gridStep
	p.least, p.most, p.mass, p.total = before.least, before.most, mass, total
	return p.between(share)
}

// verdict of an open trial, as the posterior sees it.
type verdict struct {
	lnX, eps, ago float64
	sd            float64 // of the loads at which it turns
	failed        bool
}

// given is how likely it is when ln C was so much.
func (x *verdict) given(lnC, bias float64) float64 {
	pass := lapse + (1-2*lapse)*normalCDF((lnC+bias*x.eps-x.lnX)/x.sd)
	if x.failed {
		return 1 - pass
	}
	return pass
}

// between equal tails lies the share of the posterior's mass: the same posterior with other ends.
func (p Posterior) between(share float64) Posterior {
	if len(p.mass) == 0 {
		return p
	}
	tail := (1 - share) / 2
	p.Low, p.High = p.least, p.most
	below := 0.0
	for i, m := range p.mass {
		for _, end := range []struct {
			to *float64
			at float64
		}{{&p.Low, tail * p.total}, {&p.High, (1 - tail) * p.total}} {
			if below <= end.at && end.at < below+m { // within this cell, whose mass is spread evenly around its point
				*end.to = p.least * math.Exp((float64(i)-0.5+(end.at-below)/m)*gridStep)
			}
		}
		below += m
	}
	return p
}
