package diagnose

import (
	"fmt"
	"math"

	"github.com/captest/captest/internal/record"
)

// abandoned names abandoned-work: a service works on for clients that have gone.
//
// Evidence: clients gave up, and then more requests are in progress at the service than clients have under way, for
// seconds. Told apart: leaked connections (what is in progress then never ends; both can be true, and both are said).
func abandoned(s *sight) []claim {
	load, probes := s.gaveUp()
	if load+probes == 0 {
		return nil
	}
	var out []claim
	for _, name := range s.index.services {
		if !s.isEntry(name) {
			continue
		}
		over, peak, last := s.orphans(name)
		// A client's own account and a gauge read once a second may differ by a request or two for a moment.
		if over < 3 || peak < 3 {
			continue
		}
		c := claimOf("abandoned-work", name)
		c.stuck = true
		if load > 0 {
			c.evidence("requests of the load that clients gave up", load, "", "", "captest's timeouts")
		}
		if probes > 0 {
			c.evidence("probes that captest gave up", probes, "", "", "captest's timeouts")
		}
		c.evidence("requests in progress for nobody, at most", peak, "", "0", name+" http_requests_in_progress less captest's own in flight")
		c.evidence("for", over, "s", "0", name+" http_requests_in_progress")
		if hashes := s.hashesForNobody(name); hashes > 1 {
			c.evidence("hashes computed with nobody waiting", hashes, "", "0", name+" hashes_total")
		}
		if last >= 3 {
			c.maybe("leaked-connections: what is in progress does not end, so it may wait for something that is lost")
		} else {
			c.notThe("leaked-connections", "what was in progress ends by itself")
		}
		c.Summary = fmt.Sprintf("%s keeps up to %.0f requests in progress whose clients have gone", name, peak)
		if last < 3 {
			c.Summary += ": their work delays the next ones"
		}
		c.Remedy = "stop a handler when its client has gone, give each request a deadline that goes along with its calls, and bound what is admitted"
		out = append(out, c)
	}
	return out
}

// gaveUp counts the requests that clients stopped waiting for, and the probes that captest did.
func (s *sight) gaveUp() (n, probes float64) {
	for i := range s.run.Frames {
		for _, f := range s.run.Frames[i].Steps {
			if f != nil {
				n += float64(f.Errors["timeout"])
			}
		}
	}
	for i := range s.run.Probes {
		if p := &s.run.Probes[i]; p.Probe != "health" && p.Error == "timeout" {
			probes++
		}
	}
	return n, probes
}

// isEntry says whether nobody else in the run calls the service: captest's requests arrive there.
func (s *sight) isEntry(name string) bool {
	for _, other := range s.index.services {
		for _, to := range s.calls(other) {
			if to == name {
				return false
			}
		}
	}
	return len(s.calls(name)) > 0 || len(s.index.services) == 1
}

// orphans is for how long (s), and by how much at most, requests in progress outnumbered captest's own in flight, and by how
// much at the last reading without load.
func (s *sight) orphans(name string) (seconds, peak, last float64) {
	end := math.Inf(1)
	if s.after != nil {
		end = s.after.to
	}
	w := window{index: s.index, from: s.all.from, to: end}
	was, standing := math.Inf(-1), s.before(name, "http_requests_in_progress") // of others, before the first load
	for _, r := range w.readings(name, "http_requests_in_progress") {
		own, ok := s.inFlight(r.at)
		if !ok {
			continue
		}
		extra := r.v - own - standing
		last = extra
		if extra >= 3 {
			peak = math.Max(peak, extra)
			if r.at-was < 2.5 {
				seconds += r.at - was
			}
			was = r.at
		} else {
			was = math.Inf(-1)
		}
	}
	return seconds, peak, last
}

// inFlight is the most that captest had in flight about an instant, its functional probes included. false where a test was made
// about then: what tests ask is in no frame.
func (s *sight) inFlight(at float64) (float64, bool) {
	n, found := 0.0, false
	for i := range s.run.Frames {
		f := &s.run.Frames[i]
		if f.OffsetS > at+1.5 {
			break
		}
		if f.OffsetS+f.Seconds < at-1.5 {
			continue
		}
		if f.Phase == record.PhaseTests {
			return 0, false
		}
		n, found = math.Max(n, math.Max(float64(f.InFlight), f.InFlightMean)), true
	}
	return n + s.probing(at), found
}

// hashesForNobody counts hashes computed without load, less those of probes.
func (s *sight) hashesForNobody(name string) float64 {
	if s.after == nil {
		return 0
	}
	n, _ := s.after.delta(name, "hashes_total")
	for i := range s.run.Probes {
		if p := &s.run.Probes[i]; p.Probe != "health" && p.OffsetS+p.Ms/1000 >= s.after.from && p.OffsetS <= s.after.to {
			n--
		}
	}
	return math.Max(0, n)
}
