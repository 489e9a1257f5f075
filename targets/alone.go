package targets

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/captest/captest/services"
)

// AloneError is a service that cannot run by itself as it was asked to.
type AloneError struct{ Msg, Next string }

// Error is the message.
func (e *AloneError) Error() string { return e.Msg }

// Hint is the next step.
func (e *AloneError) Hint() string { return e.Next }

// Alone checks that the service of Only can run with nothing started beside it, since Downstream has all that it calls, and
// gives it with their base URLs, without a trailing slash. The error never repeats a URL, which may hold a password.
func (c StackConfig) Alone() (service string, downstream map[string]string, err error) {
	if len(c.Only) != 1 {
		return "", nil, &AloneError{
			fmt.Sprintf("a service alone: %d services named, want one", len(c.Only)), "name one of " + strings.Join(services.Names(), ", "),
		}
	}
	service, downstream = c.Only[0], map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Downstream)) {
		if downstream[name], err = parseBase(c.Downstream[name]); err != nil {
			return "", nil, fmt.Errorf("downstream %s: %w", name, err)
		}
	}
	c.Downstream = downstream
	if _, err := c.order(); err != nil {
		return "", nil, err
	}
	for _, name := range calls(service) {
		if downstream[name] == "" {
			return "", nil, &AloneError{
				fmt.Sprintf("%s alone: it calls %s, and nothing says where that is", service, name),
				fmt.Sprintf("add --downstream %s=http://HOST:PORT", name),
			}
		}
	}
	return service, downstream, nil
}
