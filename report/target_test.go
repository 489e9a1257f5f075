package report

import (
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

func TestTargetsSockets(t *testing.T) {
	after := 40
	_, r := healthy(t)
	user := r.Connections.Target["user"]
	user.OpenFDsPeak, user.MaxFDs = nil, nil
	user.Kernel = &record.KernelConnections{
		Readings: 30, OutboundUnread: 2, AcceptQueuePeak: ref(129), FDsPeak: ref(120), FDLimit: ref(121), CPUSeconds: ref(12.5), TimeWaitCallersPeak: ref(3),
		Inbound:  map[string]record.Sockets{"ESTABLISHED": {Peak: 50}},
		Outbound: map[string]map[string]record.Sockets{"billing": {"CLOSE_WAIT": {Peak: 44, After: &after}}},
	}
	r.Connections.Target["user"] = user
	r.Connections.ListenOverflows = ref(254)
	f, ok := socketsFact(r)
	line := f.Value + "; " + f.Detail
	for _, want := range []string{"254 connections found an accept queue full", "user had 120 of 121 descriptors open", "129 connections waited to be accepted by user", "user still holds 40 connections that billing has closed"} {
		if !ok || !strings.Contains(line, want) {
			t.Errorf("the line lacks %q: %s", want, line)
		}
	}
	page := rendered(t, nil, r)
	for _, want := range []string{"CLOSE_WAIT", "callers, their end", "in 2 of 30 readings", "12.5 s"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if out := text(t, r, TextOptions{}); !strings.Contains(out, "Sockets") {
		t.Errorf("the summary lacks the line:\n%s", out)
	}
}

func TestNothingRemarkableIsNotRemarked(t *testing.T) {
	few, zero := 2, 0.0
	_, r := healthy(t)
	user := r.Connections.Target["user"]
	user.Kernel = &record.KernelConnections{
		AcceptQueuePeak: ref(5), FDsPeak: ref(60), FDLimit: ref(1024), TimeWaitCallersPeak: ref(900),
		Outbound: map[string]map[string]record.Sockets{"billing": {"CLOSE_WAIT": {Peak: 44, After: &few}, "ESTABLISHED": {Peak: 9}}},
	}
	r.Connections.Target["user"], r.Connections.ListenOverflows = user, &zero
	if f, ok := socketsFact(r); ok {
		t.Errorf("remarked: %+v", f)
	}
}
