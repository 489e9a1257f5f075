package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/captest/captest/internal/record"
)

// judge says whose time a hop is. Under which load: the one with the highest goodput, unless the overload shows the caller waiting
// half as long again; there the callee's own account counts and what was sent straight at it, by fewer, only where it gives none.
//
//	callee's own   straight at it   whose
//	small part     small part       the caller's queue, pool or loop; between them, if one user waits as long for nothing
//	small part     large part       between: in front of the callee's own clock
//	large part     small part       unclear: it is slow for what its caller asks, not for this
//	large part     large part       the callee's
//
// One of the two may be missing; without both nobody knows.
func (s *sight) judge(h *record.Hop) {
	pressed, word := h.Best, "best"
	if o := h.Overload; o != nil && (pressed == nil || *o.CallerMs > 1.5**pressed.CallerMs) {
		pressed, word = o, "overload"
	}
	direct := h.Direct
	if direct != nil && direct.ErrorsPercent > mostDirectErrors {
		direct = nil // the times of refusals say nothing of the work
	}
	if pressed == nil {
		h.Whose, h.Verdict = record.WhoseUnknown, s.unseen(h)
		return
	}
	h.Judged = word
	waits, own := *pressed.CallerMs, pressed.CalleeMs
	if word == "overload" && s.lagging(h.Callee) {
		own = nil
	}
	straight := (*float64)(nil)
	if direct != nil && (word == "best" || own == nil) {
		straight = &direct.MeanMs
	}
	says := fmt.Sprintf("%s waits %s for %s", h.Caller, timeText(waits), h.Callee)
	account := account(own, direct)
	small := func(ms *float64) bool { return ms != nil && *ms <= smallPart*waits }
	large := func(ms *float64) bool { return ms != nil && *ms >= largePart*waits }
	switch {
	case waits < noTime:
		h.Whose, h.Verdict = record.WhoseNobody, says+": no time to speak of"
	case own == nil && straight == nil:
		h.Whose = record.WhoseUnknown
		h.Verdict = says + ", which shows no duration of its own, and nothing was sent straight at it: whose time it is nobody can tell"
	case small(own) && large(straight):
		h.Whose = record.WhoseBetween
		h.Verdict = says + ", which " + account + ": the time is lost in front of its own clock: in its accept queue, a proxy or the network"
	case large(own) && small(straight):
		h.Whose = record.WhoseUnclear
		h.Verdict = says + ", which " + account + ": it is slow for what its caller asks, not for what was sent straight at it"
	case small(own) || own == nil && small(straight):
		h.Exonerated = h.Caller != "captest" // in front of the entry's clock is the entry's own queue
		whose, rest := whoseElse(h, waits, own, straight)
		h.Whose, h.Verdict = whose, says+", which "+account+": "
		if h.Exonerated {
			h.Verdict += h.Callee + " is exonerated; "
		}
		h.Verdict += rest
		if q := pressed.QueueMs; q != nil && h.Whose == record.WhoseCaller && *q >= 0.5*(waits-part(own, straight)) {
			h.Verdict += fmt.Sprintf(" (%s for a permit or a connection)", timeText(*q))
		}
	case large(own) || own == nil && large(straight):
		h.Whose, h.Verdict = record.WhoseCallee, says+", which "+account+": the time is "+h.Callee+"'s"
		if len(s.calls(h.Callee)) > 0 {
			h.Verdict += ", what it waits for in turn included"
		}
	default:
		h.Whose = record.WhoseShared
		h.Verdict = fmt.Sprintf("%s, which %s: about %.0f %% is its part, the rest is lost before it", says, account, 100*part(own, straight)/waits)
	}
}

// lagging says that a service's own durations are means over minutes: of an overload of seconds they tell nothing.
func (s *sight) lagging(service string) bool {
	return !slices.ContainsFunc(requestSeconds, func(m struct{ name, route string }) bool { return s.index.has(service, m.name+"_count") })
}

// part is the callee's, by its own account where it gives one.
func part(own, straight *float64) float64 {
	if own != nil {
		return *own
	}
	return *straight
}

// whoseElse tells a caller's queue, which one user alone does not meet, from what lies between the two, which is always there.
func whoseElse(h *record.Hop, waits float64, own, straight *float64) (whose, text string) {
	const callers = "the time is its caller's: a queue, a pool or an event loop"
	if h.Caller == "captest" {
		// captest's own part is known to be small, or the run would not be valid.
		return record.WhoseBetween, "the time is lost before its own clock starts: in its accept queue, a proxy or the network"
	}
	lost := waits - part(own, straight)
	if h.Alone == nil {
		return record.WhoseCaller, callers + ", or the network between them: no load of one user tells"
	}
	quiet := h.Alone.CalleeMs
	if quiet == nil && h.Direct != nil {
		quiet = &h.Direct.AloneMs
	}
	if quiet != nil && *h.Alone.CallerMs-*quiet >= largePart*lost {
		return record.WhoseBetween, fmt.Sprintf("the time is lost between them: with one user %s waits %s for it already", h.Caller, timeText(*h.Alone.CallerMs))
	}
	return record.WhoseCaller, callers
}

// account is what is known of the callee's own part: "works 0.21 s (straight at it, 10 at a time: 0.22 s; by its own profile 0.20 s)".
func account(own *float64, d *record.HopDirect) string {
	var beside []string
	if d != nil {
		beside = append(beside, fmt.Sprintf("straight at it, %d at a time: %s", d.Users, timeText(d.MeanMs)))
		if d.ProfiledMs != nil {
			beside = append(beside, "by its own profile "+timeText(*d.ProfiledMs))
		}
	}
	switch {
	case own == nil && d == nil:
		return "shows nothing"
	case own == nil:
		return "takes " + timeText(d.MeanMs) + " (" + strings.Join(beside, "; ") + ")"
	case d == nil:
		return "works " + timeText(*own)
	default:
		return "works " + timeText(*own) + " (" + strings.Join(beside, "; ") + ")"
	}
}

// unseen is the verdict where no caller shows what it waits: what was sent straight at the service beside the whole journey, and
// what that leaves open.
func (s *sight) unseen(h *record.Hop) string {
	d := h.Direct
	if d == nil {
		return "nothing is known of this call"
	}
	text := fmt.Sprintf("a request straight at %s takes %s alone and %s with %d at a time", h.Callee, timeText(d.AloneMs), timeText(d.MeanMs), d.Users)
	if d.ErrorsPercent > 0 {
		text += fmt.Sprintf(" (%.3g %% failed)", d.ErrorsPercent)
	}
	if ms := s.best.Latency.MeanMs; ms != nil && finite(*ms) {
		text += fmt.Sprintf("; a journey takes %s at the highest goodput", timeText(*ms))
	}
	return text + ". How often it is called for a journey and how long its caller waits is not known: no service shows http_client_request_duration_seconds for it"
}

// timeText is a duration as people read it: 5.1 s, 210 ms.
func timeText(ms float64) string {
	switch {
	case ms >= 10_000:
		return fmt.Sprintf("%.0f s", ms/1000)
	case ms >= 1000:
		return fmt.Sprintf("%.2g s", ms/1000)
	case ms >= 10:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.2g ms", ms)
	}
}
