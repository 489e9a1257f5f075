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
	for _, want := range []string{"accept queue full 254 times", "user had 120 of 121 descriptors open", "129 connections waited to be accepted by user", "user still holds 40 connections that billing has closed"} {
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

func TestCurveIsTold(t *testing.T) {
	_, r := healthy(t)
	shape := "hard bound"
	r.Capacity.Curve = &record.Curve{
		Shape: &shape, Sentence: "throughput rises with the users to a corner and stays at 7.5/s: one resource is full", ErrorPercent: ref(2), Levels: 6,
		Refused: "no scalability law: it would be invented", Warnings: []string{"no level of one user"},
	}
	page, out := rendered(t, nil, r), text(t, r, TextOptions{Width: 200})
	for _, want := range []string{"stays at 7.5/s: one resource is full, within 2.0 % over 6 levels"} {
		if !strings.Contains(page, want) || !strings.Contains(out, want) {
			t.Errorf("not told: %q\n%s", want, out)
		}
	}
	for _, want := range []string{"No scalability law: it would be invented.", "read with care: no level of one user"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	r.Capacity.Curve = &record.Curve{Refused: "no scalability law: 5 levels are fit to choose a model by, and 6 are needed"}
	if out := text(t, r, TextOptions{Width: 200}); !strings.Contains(out, "5 levels are fit") {
		t.Errorf("a refusal is not told:\n%s", out)
	}
}

func TestOtherWorkIsTold(t *testing.T) {
	_, r := healthy(t)
	r.Validity.Warnings = []string{"other work took 31 % of the machine during 3 of 8 trials: figures are lower than the machine can do"}
	r.Trials[0].OtherWorkPercent, r.Trials[1].OtherWorkPercent = ref(2), ref(31)
	page, out := rendered(t, nil, r), text(t, r, TextOptions{Width: 200})
	if !strings.Contains(out, "! other work took 31 %") || !strings.Contains(page, "<li>other work took 31 %") || !strings.Contains(page, "31.0 % of its cores, over 2 trials") {
		t.Errorf("other work is not told:\n%s", out)
	}
}
