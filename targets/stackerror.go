package targets

import (
	"fmt"
	"strings"
)

// StackError is a bundled service that did not come up.
type StackError struct {
	Service string
	How     string   // what went wrong, and how the process ended when it did
	Log     string   // file with all that it wrote, "" when it never ran
	Tail    []string // last lines of that
	Next    string   // the hint; "" points to the log
	Err     error    // the cause, if it has one of its own (context.Canceled, syscall.EADDRINUSE, …)
}

// Error names the service and ends with the last lines of its log.
func (e *StackError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "bundled service %s: %s", e.Service, e.How)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if len(e.Tail) > 0 {
		b.WriteString("; the last lines of its log:")
		for _, line := range e.Tail {
			b.WriteString("\n  | " + line)
		}
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *StackError) Unwrap() error { return e.Err }

// Hint says where to look next.
func (e *StackError) Hint() string {
	switch {
	case e.Next != "":
		return e.Next
	case e.Log != "":
		return "all that the service wrote is in " + e.Log
	}
	return ""
}
