package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/captest/captest/internal/record"
)

// testLine is one test in a sentence: what was asked, what came out, and what that means.
type testLine struct {
	Name, Text string
	Skipped    bool
}

func testLines(r *record.Result) []testLine {
	var out []testLine
	for _, t := range r.Tests {
		if t.Name == record.TestTiers && t.Skipped == "" {
			continue // its figures are those of the hops
		}
		l := testLine{Name: t.Name, Text: "not made: " + t.Skipped, Skipped: t.Skipped != ""}
		if !l.Skipped {
			say := map[string]func(figures) string{
				record.TestBurst: burstText, record.TestCoupling: couplingText, record.TestShortCircuit: shortText, record.TestConnections: connectionsText,
				record.TestKnob: knobText, record.TestElasticity: elasticityText,
			}[t.Name]
			if say == nil {
				say = plainText
			}
			l.Text = say(figures{t})
		}
		out = append(out, l)
	}
	return out
}

// figures of a test, by name.
type figures struct{ record.Test }

func (f figures) ms(name string) string { return millis(f.Values[name]) }

func (f figures) count(name string) string { return count(uint64(max(0, f.Values[name]))) }

func (f figures) has(name string) bool { _, ok := f.Values[name]; return ok }

func burstText(f figures) string {
	s := fmt.Sprintf("%s requests at once, %s times: answers from %s to %s, where one alone takes %s; ",
		f.count("requests"), f.count("bursts"), f.ms("first_ms"), f.ms("last_ms"), f.ms("single_ms"))
	servers := digits3(f.Values["servers"])
	if lo, hi := digits3(f.Values["servers_low"]), digits3(f.Values["servers_high"]); lo != hi {
		servers += " (" + lo + "–" + hi + ")"
	}
	slope := fmt.Sprintf("one every %s (%s–%s)", f.ms("slope_ms"), f.ms("slope_low_ms"), f.ms("slope_high_ms"))
	switch f.Words["form"] {
	case "even":
		s += slope + ", evenly: they are served one at a time"
	case "steps":
		s += slope + ", in steps: " + servers + " at a time, " + f.ms("service_ms") + " each"
	case "shared":
		s += "late and together: about " + servers + " servers divide their time among all"
	case "together":
		s += "all about when one alone would be: none waits for another"
	default:
		s += "in no clear order: how many are served at a time is not known"
	}
	if f.Values["failed_percent"] > 0 {
		s += "; " + percent(f.Values["failed_percent"]) + " failed"
	}
	return s
}

func couplingText(f figures) string {
	s := fmt.Sprintf("GET %s takes %s at rest and %s beside %s/s of %s, which takes %s alone and %s then", f.Words["path"], f.ms("trivial_idle_ms"), f.ms("trivial_load_ms"),
		digits3(f.Values["load_per_second"]), f.Words["step"], f.ms("step_idle_ms"), f.ms("step_load_ms"))
	switch k := f.Values["coupling"]; {
	case !f.has("coupling"):
		s += "; that rose too little to compare with"
	case k > 0.3:
		s += "; k = " + digits3(k) + f.interval("coupling") + ": something that all requests share is busy"
	case k < 0.05:
		s += "; k = " + digits3(k) + f.interval("coupling") + ": what is waited for is the step's own"
	default:
		s += "; k = " + digits3(k) + f.interval("coupling") + ", which tells nothing apart"
	}
	if f.has("serial_percent") {
		s += "; a trivial request met something busy " + percent(f.Values["serial_percent"]) + " of the time"
	}
	return s
}

func (f figures) interval(name string) string {
	if !f.has(name+"_low") || !f.has(name+"_high") {
		return ""
	}
	return " (" + digits3(f.Values[name+"_low"]) + "–" + digits3(f.Values[name+"_high"]) + ")"
}

func shortText(f figures) string {
	s := fmt.Sprintf("%s with an empty object is refused in %s, where a good one takes %s: %s of that lies behind the check of its input",
		f.Words["step"], f.ms("refused_ms"), f.ms("single_ms"), percent(f.Values["behind_percent"]))
	if f.has("load_refused_ms") {
		s += fmt.Sprintf("; beside %s users, whose requests take %s, in %s", f.count("load_users"), f.ms("load_step_ms"), f.ms("load_refused_ms"))
	}
	return s
}

func connectionsText(f figures) string {
	s := fmt.Sprintf("%s users get %s/s on kept connections (%s) and %s/s on a fresh one for each request (%s)", f.count("users"),
		digits3(f.Values["kept_per_second"]), f.ms("kept_ms"), digits3(f.Values["fresh_per_second"]), f.ms("fresh_ms"))
	if f.has("dial_ms") {
		s += fmt.Sprintf("; a dial takes %s, %s at most", f.ms("dial_ms"), f.ms("dial_max_ms"))
	}
	if f.has("shared_per_second") {
		s += "; " + digits3(f.Values["shared_per_second"]) + "/s on one connection for all"
	} else if why := f.Words["shared"]; why != "" {
		s += "; one connection for all: " + why
	}
	return s
}

func knobText(f figures) string {
	s := fmt.Sprintf("%s.%s at %s instead of %s: %s/s with %s users, %s/s before; predicted were %s/s", f.Where, f.Words["knob"], f.Words["to"], f.Words["from"],
		digits3(f.Values["after_per_second"]), f.count("users"), digits3(f.Values["before_per_second"]), digits3(f.Values["predicted_per_second"]))
	if lo, hi := f.Values["predicted_low_per_second"], f.Values["predicted_high_per_second"]; lo > 0 && hi > 0 {
		s += " (" + digits3(lo) + "–" + digits3(hi) + ")"
	}
	if limit := f.Words["limit"]; limit != "" {
		s += ", with " + limit + " as the limit then"
	}
	return s + f.otherWork()
}

func elasticityText(f figures) string {
	s := fmt.Sprintf("%s.%s at %s instead of %s: %s/s, %s/s before", f.Where, f.Words["knob"], f.Words["to"], f.Words["from"],
		digits3(f.Values["after_per_second"]), digits3(f.Values["before_per_second"]))
	if f.has("after_call_ms") {
		s += fmt.Sprintf("; a call of %s takes %s, %s before", f.Words["caller"], f.ms("after_call_ms"), f.ms("before_call_ms"))
	}
	return s + "; E = " + digits3(f.Values["elasticity"]) + ", where -1 is something held for the downstream and 0 something that computes" + f.otherWork()
}

// otherWork is told where it may be why a throughput is low.
func (f figures) otherWork() string {
	if share := f.Values["other_work_percent"]; share > record.OtherWorkLimit {
		return "; other work took " + percent(share) + " of the machine meanwhile"
	}
	return ""
}

// plainText is that of a test without a sentence of its own.
func plainText(f figures) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(f.Values)) {
		parts = append(parts, name+" "+digits3(f.Values[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(f.Words)) {
		parts = append(parts, name+" "+f.Words[name])
	}
	return strings.Join(parts, ", ")
}
