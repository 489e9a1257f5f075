package diagnose

import (
	"fmt"
	"math"
)

// network names network: opening connections or the way to the target takes most of a journey of one user.
//
// Evidence: dialling and TLS, or the kernel's round-trip time, ≥ half of the response time with one user. A target that
// accepts late delays the dial of a full accept queue only; that is a cause of its own.
func network(s *sight) []claim {
	l := s.light()
	if l.trial.Latency.P50Ms == nil || *l.trial.Latency.P50Ms <= 0 {
		return nil
	}
	r1 := *l.trial.Latency.P50Ms
	client := s.res.Connections.Client
	c := claimOf("network", "")
	// On a kept connection the kernel's smoothed round-trip time holds the time of the answer: its acknowledgement waits up to 40 ms to
	// go with it (RFC 1122, 4.2.3.2). A dial is answered by the kernel itself.
	if t := client.TCP; t != nil && t.RTTMs.P50 != nil && client.DialMs.P50 != nil {
		if rtt := math.Min(*t.RTTMs.P50, *client.DialMs.P50); rtt >= 0.3*r1 && rtt >= 1 {
			c.evidence("round-trip time, median", rtt, "ms", fmt.Sprintf("well below the %.3g ms of a journey", r1), "kernel, TCP_INFO and dials")
		}
	}
	opened := 0.0
	if total := client.Opened + client.Reused; total > 0 {
		opened = float64(client.Opened) / float64(total)
	}
	setup := 0.0
	for _, p := range []*float64{client.DialMs.P50, client.TLSMs.P50} {
		if p != nil {
			setup += *p
		}
	}
	if opened > 0.5 && setup >= 0.5*r1 && setup >= 1 {
		c.evidence("dialling and TLS, median", setup, "ms", fmt.Sprintf("well below the %.3g ms of a journey", r1), "captest's connections")
	}
	if len(c.Evidence) == 0 {
		return nil
	}
	if tls := client.TLSMs.P50; tls != nil && *tls >= 0.5*setup {
		c.inside = false // a handshake takes the target's CPU, and all loads are in its median
		c.maybe("a target whose CPU is short: handshakes wait for it")
	}
	if t := client.TCP; t != nil {
		c.evidence("segments sent again", float64(t.Retransmits), "", "0", "kernel, TCP_INFO")
	}
	c.maybe("accept-backlog")
	c.Summary = fmt.Sprintf("the way to the target takes much of the %.3g ms that one user waits", r1)
	c.Remedy = "measure from beside the target, keep connections alive, resume TLS sessions"
	return []claim{c}
}
