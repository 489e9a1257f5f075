package scenarios

// Services the journey sends to, each once, in order of first use; "" is the target's entry.
func (s *Scenario) Services() []string {
	var names []string
	seen := map[string]bool{}
	for _, steps := range [][]Step{s.Setup, s.Steps} {
		for _, x := range steps {
			if !seen[x.Service] {
				seen[x.Service] = true
				names = append(names, x.Service)
			}
		}
	}
	return names
}
