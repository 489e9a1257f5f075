package queueing

// Reason says in one fixed word why there is no figure.
type Reason string

// Reasons of a refusal.
const (
	TooFewTrials    Reason = "too-few-trials"    // not enough loads, or none idle
	NoSpread        Reason = "no-spread"         // loads too alike to tell background from demand, or classes that move together
	NoDemand        Reason = "no-demand"         // busy time does not grow with completions
	TooFewProbes    Reason = "too-few-probes"    // not enough of them for a share
	NoKnee          Reason = "no-knee"           // the curve does not reach past its knee, or starts above it
	HardLimit       Reason = "hard-limit"        // a pool, permit, rate limit or loop explains the curve
	Servers         Reason = "servers"           // a station with servers explains the curve
	SerialOnly      Reason = "serial-only"       // a serial part alone explains the curve
	NotBetter       Reason = "not-better"        // the law wins, but by too little
	Failures        Reason = "failures"          // throughput counts, or lost, failed journeys
	TwoValued       Reason = "hysteresis"        // the way down differs from the way up
	GeneratorLimit  Reason = "generator-limit"   // captest was the limit, not the target
	ChangedMidway   Reason = "changed-midway"    // mix, data, instances or CPU quota changed between levels
	Extrapolation   Reason = "extrapolation"     // further than twice the largest load measured
	NoResource      Reason = "no-resource"       // nothing measured can be full
	UnknownResource Reason = "unknown-resource"  // the change names a resource that was not measured
	ImpossibleFix   Reason = "impossible-change" // the change takes away more than is there
)

// Refusal is the error of a question that its numbers cannot answer. Error is the sentence to print; Hint says what to
// measure so that there is an answer next time.
type Refusal struct {
	Reason   Reason
	Sentence string
	Next     string
}

func (r *Refusal) Error() string { return r.Sentence }

// Hint is the next step, in the manner of captest's other errors.
func (r *Refusal) Hint() string { return r.Next }
