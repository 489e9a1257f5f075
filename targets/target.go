// Package targets says WHERE load goes: base URLs, metrics endpoints, restart hooks, the addresses load may reach, and
// the published baselines runs are compared with. It also starts the bundled stack (launcher).
//
// It stands first in the line beside scenarios: drive sends to a Target, observe reads its metrics. It never sends load.
package targets

import "net/netip"

// Target is one file: a set of services that belong together.
type Target struct {
	Name    string
	File    string            // where it came from, for messages
	Entry   string            // service that steps go to unless they say otherwise
	Profile string            // of the bundled stack; "" for others
	Set     map[string]string // knobs of the bundled stack flipped on top of the profile
	Store   string            // URL of the bundled stack's database, see services.CheckStore; "" for SQLite files
	Bundled bool              // captest starts and stops it
	// Allow lists the addresses load may reach besides loopback. Names are resolved; what counts is the address dialled.
	Allow []netip.Prefix
	// AllowNames are the names of the file's allow list; NewGuard resolves them.
	AllowNames []string
	Owner      string            // who answers for load to anything but loopback; required with a non-loopback Allow in a file
	Services   []Service         // in file order, entry included
	Roles      map[string]string // what a metric captest does not know by itself stands for, see RoleNames
	// OverloadUsers is a floor for the overload phase; 0 for none.
	OverloadUsers int
}

// Service of a target.
type Service struct {
	Name    string
	URL     string // base, without a trailing slash
	Kind    string // "" or "kill-bill" (metrics are Dropwizard JSON)
	Health  string // path, "" for none
	Metrics string // path, "" for none
	Restart string // shell command that restarts it, "" for none
	Knobs   []Knob // settings that a command can change, in file order
}

// Knob is a setting of a service that captest may change for a test, by a command that leaves the service serving with it.
type Knob struct {
	Name    string // as `captest diagnose --what-if` names it, without its service: workers, pool.kill-bill, time
	Value   string // what it stands at
	Command string // shell command; KnobValue in it stands for the new value
}

// KnobValue stands in a knob's command for the value to set.
const KnobValue = "{{value}}"

// Knob gives a setting of the service.
func (s *Service) Knob(name string) (Knob, bool) {
	for _, k := range s.Knobs {
		if k.Name == name {
			return k, true
		}
	}
	return Knob{}, false
}

// Find gives the service by name ("" is the entry) and whether it exists.
func (t *Target) Find(name string) (*Service, bool) {
	if name == "" {
		name = t.Entry
	}
	for i := range t.Services {
		if t.Services[i].Name == name {
			return &t.Services[i], true
		}
	}
	return nil, false
}

// Baseline is a published figure that runs are compared with, never gated on.
type Baseline struct {
	Name       string
	Provenance string
	Service    string  // the hop the claim is about
	PerSecond  float64 // claimed sustained rate
	MeanMs     float64 // claimed average latency
	Notes      []string
}
