package experiment

// The closed ramp: 1, 2, 4, 8 … users until more users bring no more goodput, or a limit breaks. A closed load cannot
// build an unbounded queue, which makes it the safe way up (measurement 3.4, P1).

// Level is what the ramp needs to know about a level it measured.
type Level struct {
	Users     int
	PerSecond float64 // goodput
	MeanMs    float64 // mean response time; 0 when nothing completed
	Within    bool    // every limit held
	Usable    bool    // false: INVALID, nothing may be concluded from it
}

// flatGain: a doubling that brings less than this counts as none. Two in a row end the ramp, so that one noisy level cannot.
const flatGain = 0.05

// maxUsers bounds the ramp: beyond it a closed load says nothing new about a service and much about the generator.
const maxUsers = 1024

// comparisonUsers is the level every run measures: latency at 10 concurrent is the figure the incident is told in.
const comparisonUsers = 10

// Why a ramp ended.
const (
	rampFlat    = "two doublings gained less than 5 %"
	rampLimit   = "a limit broke"
	rampCap     = "the ramp's end at 1024 users was reached"
	rampInvalid = "the generator was the limit"
)

// nextLevel decides the ramp's next level: trials so far in, next number of users out; 0 and a reason when the ramp is over.
func nextLevel(levels []Level) (users int, why string) {
	if len(levels) == 0 {
		return 1, ""
	}
	last := levels[len(levels)-1]
	switch {
	case !last.Usable:
		return 0, rampInvalid
	case !last.Within:
		return 0, rampLimit
	case len(levels) >= 3 && gain(levels[len(levels)-3], levels[len(levels)-2]) < flatGain && gain(levels[len(levels)-2], last) < flatGain:
		return 0, rampFlat
	case last.Users >= maxUsers:
		return 0, rampCap
	}
	return last.Users * 2, ""
}

// gain of the second level over the first, as a fraction of the first.
func gain(a, b Level) float64 {
	if a.PerSecond <= 0 {
		return 1 // nothing came out before: any goodput is a gain, and the error limit decides otherwise
	}
	return b.PerSecond/a.PerSecond - 1
}

// knee is N* = R(1)·Xmax, in users: where the optimistic bounds X ≤ N/R(1) and X ≤ Xmax cross, so where waiting must
// begin. Source: Denning & Buzen 1978; measurement 1.2. ok is false without a level of one user.
func knee(levels []Level) (n float64, ok bool) {
	var r1, xmax float64
	for _, l := range levels {
		if !l.Usable {
			continue
		}
		if l.Users == 1 && l.PerSecond > 0 {
			r1 = l.MeanMs / 1000
		}
		xmax = max(xmax, l.PerSecond)
	}
	if r1 == 0 || xmax == 0 {
		return 0, false
	}
	return r1 * xmax, true
}

// overloadUsers is twice the knee, and at least twice the largest level within the limits (the knee of a serial service is 1:
// twice that is no overload), and at least floor, which a target file may ask for.
func overloadUsers(levels []Level, floor int) int {
	n := 2
	if k, ok := knee(levels); ok {
		n = max(n, int(2*k+0.5))
	}
	for _, l := range levels {
		if l.Within {
			n = max(n, 2*l.Users)
		}
	}
	return min(max(n, floor), maxUsers)
}
