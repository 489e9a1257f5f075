package main

import (
	"cmp"
	"fmt"
	"net/url"

	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// findTarget loads the target. A vegeta target file names its own by the URLs in it; --target then may give it a name, metrics and
// hooks, but not another address.
func (o *runOptions) findTarget(s *scenarios.Scenario, getenv func(string) string) (*targets.Target, error) {
	if s.Origin != "" && !o.targetSet {
		return targets.Load(s.Origin, getenv)
	}
	t, err := targets.Load(o.target, getenv)
	if err != nil {
		return t, cmp.Or(mistaken(o.target, true), err)
	}
	if s.Origin == "" {
		return t, nil
	}
	entry, ok := t.Find("")
	if !ok || t.Bundled {
		return nil, fmt.Errorf("%s: its requests go to %s, --target %s is another place; leave --target out", s.File, s.Origin, o.target)
	}
	if u, err := url.Parse(entry.URL); err != nil || u.Path != "" || scenarios.OriginOf(u) != s.Origin {
		return nil, fmt.Errorf("%s: its requests go to %s, service %s of --target %s is at %s", s.File, s.Origin, entry.Name, o.target, entry.URL)
	}
	return t, nil
}
