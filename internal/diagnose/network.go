package diagnose

import "fmt"

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
	if t := client.TCP; t != nil && t.RTTMs.P50 != nil && *t.RTTMs.P50 >= 0.3*r1 && *t.RTTMs.P50 >= 1 {
		c.evidence("round-trip time, median", *t.RTTMs.P50, "ms", fmt.Sprintf("well below the %.3g ms of a journey", r1), "kernel, TCP_INFO")
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
	if t := client.TCP; t != nil {
		c.evidence("segments sent again", float64(t.Retransmits), "", "0", "kernel, TCP_INFO")
	}
	c.maybe("accept-backlog")
	c.Summary = fmt.Sprintf("the way to the target takes much of the %.3g ms that one user waits", r1)
	c.Remedy = "measure from beside the target, keep connections alive, resume TLS sessions"
	return []claim{c}
}
