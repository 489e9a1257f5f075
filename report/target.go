package report

import (
	"fmt"
	"strings"

	"github.com/captest/captest/internal/record"
)

// socketsTable is the kernel's view of the target's connections.
func socketsTable(r *record.Result) table {
	t := table{
		ID: "sockets", Title: "The target's sockets",
		Caption: "From the kernel of this machine, once a second: TCP sockets by who is at the other end and by state, the most at once and what was left after the load. ESTABLISHED ones that stay are idle connections; CLOSE_WAIT ones were closed by the other end and never by this one.",
		Columns: []column{
			{Head: "service"},
			{Head: "peer"},
			{Head: "state"},
			{Head: "peak", Number: true},
			{Head: "after", Number: true},
		},
	}
	for _, service := range sortedKeys(r.Connections.Target) {
		k := r.Connections.Target[service].Kernel
		if k == nil {
			continue
		}
		put := func(peer string, states map[string]record.Sockets) {
			for _, state := range sortedKeys(states) {
				x := states[state]
				after := dash
				if x.After != nil {
					after = count(uint64(max(0, *x.After)))
				}
				t.add(plainCells(service, peer, state, count(uint64(max(0, x.Peak))), after)...)
			}
		}
		put("callers", k.Inbound)
		if finite(k.TimeWaitCallersPeak) && *k.TimeWaitCallersPeak > 0 {
			t.add(plainCells(service, "callers, their end", "TIME_WAIT", number(*k.TimeWaitCallersPeak), opt(k.TimeWaitCallersAfter, number, dash))...)
		}
		for _, peer := range sortedKeys(k.Outbound) {
			put("→ "+peer, k.Outbound[peer])
		}
		if k.OutboundUnread > 0 {
			t.Note = join(t.Note, " ", fmt.Sprintf("%s: in %d of %d readings it had too many descriptors to look at each, so what it holds to others is at least this.",
				service, k.OutboundUnread, k.Readings))
		}
	}
	return t
}

// servicesTable is what each service used. Descriptors come from its own metrics, or from the kernel where it tells nothing.
func servicesTable(r *record.Result) table {
	t := table{
		ID: "services", Title: "The target's processes",
		Caption: "Open file descriptors of each service before, during and after the load; its accept queue, busiest thread (of one core, between two readings), CPU time and memory where it runs on this machine; how often its metrics could not be read.",
		Columns: []column{
			{Head: "service"},
			{Head: "descriptors before", Number: true},
			{Head: "peak", Number: true},
			{Head: "after", Number: true},
			{Head: "allowed", Number: true},
			{Head: "accept queue", Number: true},
			{Head: "busiest thread", Number: true},
			{Head: "CPU time", Number: true},
			{Head: "memory", Number: true},
			{Head: "scrapes failed", Number: true},
		},
	}
	for _, service := range sortedKeys(r.Connections.Target) {
		c := r.Connections.Target[service]
		k := kernelOf(c)
		scrapes := dash
		if c.Scrapes > 0 {
			scrapes = fmt.Sprintf("%d of %d", c.ScrapesFailed, c.Scrapes)
		}
		row := plainCells(service, opt(first(c.OpenFDsBefore, k.FDsBefore), number, dash), opt(first(c.OpenFDsPeak, k.FDsPeak), number, dash),
			opt(first(c.OpenFDsAfter, k.FDsAfter), number, dash), opt(first(c.MaxFDs, k.FDLimit), number, dash), opt(k.AcceptQueuePeak, number, dash),
			opt(k.BusiestThreadPeakPercent, percent, dash), opt(k.CPUSeconds, seconds, dash), opt(k.RSSPeakBytes, bytesIn, dash), scrapes)
		if c.ScrapesFailed > 0 {
			row[len(row)-1].Tone = "bad"
		}
		t.add(row...)
	}
	return t
}

// kernelOf is empty, all unknown, for a service that the kernel says nothing of.
func kernelOf(c record.TargetConnections) record.KernelConnections {
	if c.Kernel == nil {
		return record.KernelConnections{}
	}
	return *c.Kernel
}

// first of two that is known.
func first(a, b *float64) *float64 {
	if finite(a) {
		return a
	}
	return b
}

// What is remarkable about a target's sockets.
const (
	fullShare     = 0.8  // of the descriptors allowed
	manyWaiting   = 64   // connections in an accept queue: half of the smallest default length, 128
	manyTimeWaits = 7000 // a quarter of the 28,232 ports that Linux hands out by default
	fewForgotten  = 3    // sockets in CLOSE_WAIT may be about to be closed
)

// socketsFact is one line about what the kernel saw of the target, when something in it is remarkable.
func socketsFact(r *record.Result) (fact, bool) {
	var list []string
	for _, service := range sortedKeys(r.Connections.Target) {
		c := r.Connections.Target[service]
		k := kernelOf(c)
		if peak, limit := first(c.OpenFDsPeak, k.FDsPeak), first(c.MaxFDs, k.FDLimit); finite(peak) && finite(limit) && *limit > 0 && *peak >= fullShare**limit {
			list = append(list, fmt.Sprintf("%s had %s of %s descriptors open", service, number(*peak), number(*limit)))
		}
		if finite(k.AcceptQueuePeak) && *k.AcceptQueuePeak >= manyWaiting {
			list = append(list, fmt.Sprintf("%s connections waited to be accepted by %s", number(*k.AcceptQueuePeak), service))
		}
		if finite(k.TimeWaitCallersPeak) && *k.TimeWaitCallersPeak >= manyTimeWaits {
			list = append(list, fmt.Sprintf("callers of %s held %s sockets in TIME_WAIT", service, number(*k.TimeWaitCallersPeak)))
		}
		for _, peer := range sortedKeys(k.Outbound) {
			if x := k.Outbound[peer]["CLOSE_WAIT"]; x.After != nil && *x.After > fewForgotten {
				list = append(list, fmt.Sprintf("%s still holds %d connections that %s has closed", service, *x.After, peer))
			}
		}
		if x := k.Inbound["CLOSE_WAIT"]; x.After != nil && *x.After > fewForgotten {
			list = append(list, fmt.Sprintf("%s still holds %d connections that its callers have closed", service, *x.After))
		}
	}
	tone := "bad"
	if n := r.Connections.ListenOverflows; finite(n) && *n > 0 {
		if len(list) == 0 {
			tone = "" // it may be another program's
		}
		list = append(list, "accept queue full "+plural(uint64(*n), "time", "times")+", counted for the whole machine")
	}
	if len(list) == 0 {
		return fact{}, false
	}
	f := fact{Label: "Sockets", Value: list[0], Tone: tone}
	if len(list) > 1 {
		f.Detail = strings.Join(list[1:min(len(list), 4)], "; ")
	}
	return f, true
}
