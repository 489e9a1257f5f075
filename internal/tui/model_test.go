package tui

import (
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/captest/captest/internal/record"
)

// typed feeds keys to a model and returns what it asked for.
func typed(t *testing.T, m model, keys ...tea.KeyPressMsg) (model, []Action, bool) {
	t.Helper()
	var asked []Action
	m.ask = func(a Action) { asked = append(asked, a) }
	quit := false
	for _, k := range keys {
		next, cmd := m.Update(k)
		m = next.(model)
		if cmd != nil {
			_, quit = cmd().(tea.QuitMsg)
		}
	}
	return m, asked, quit
}

func letter(r rune) tea.KeyPressMsg { return tea.KeyPressMsg{Code: r, Text: string(r)} }

var (
	tab      = tea.KeyPressMsg{Code: tea.KeyTab}
	shiftTab = tea.KeyPressMsg{Code: tea.KeyTab, Mod: tea.ModShift}
	ctrlC    = tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}
)

func TestKeysAskForActions(t *testing.T) {
	m := model{snap: ramp(), w: 80, h: 24}
	m, got, quit := typed(t, m, letter('m'), letter('n'), letter('x'), tab)
	if diff := cmp.Diff([]Action{Mark, Next}, got); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	if quit || m.u.view != 1 {
		t.Errorf("quit %v, view %d; want a running screen on view 1", quit, m.u.view)
	}
}

func TestQuitAsksOnceAndStaysOnTheScreen(t *testing.T) {
	m, got, quit := typed(t, model{snap: ramp(), w: 80, h: 24}, letter('q'), letter('q'), letter('m'))
	if diff := cmp.Diff([]Action{Quit}, got); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	if quit || !m.u.quitting {
		t.Errorf("quit %v, quitting %v; the screen must stay until the report is written", quit, m.u.quitting)
	}
}

func TestSecondCtrlCLeaves(t *testing.T) {
	m, got, quit := typed(t, model{snap: ramp()}, ctrlC)
	if quit || m.leave {
		t.Error("the first ctrl-c left")
	}
	m, more, quit := typed(t, m, ctrlC)
	if diff := cmp.Diff([]Action{Quit}, append(got, more...)); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	if !quit || !m.leave {
		t.Error("the second ctrl-c did not leave")
	}
	if m, _, quit = typed(t, model{snap: ramp()}, letter('q'), ctrlC); !quit || !m.leave {
		t.Error("ctrl-c after q did not leave")
	}
}

func TestViewKeys(t *testing.T) {
	m := model{snap: ramp()} // 35 s: fits 60 s
	for _, step := range []struct {
		key  tea.KeyPressMsg
		want state
	}{
		{shiftTab, state{view: 3}},
		{tab, state{view: 0}},
		{letter('?'), state{help: true}},
		{letter('m'), state{}}, // any key leaves the help, and does nothing else
		{letter('+'), state{scale: 3}},
		{letter('-'), state{scale: 2}},
		{letter('-'), state{scale: 1}},
		{letter('-'), state{scale: 1}},
	} {
		var got []Action
		m, got, _ = typed(t, m, step.key)
		if diff := cmp.Diff(step.want, m.u, cmp.AllowUnexported(state{})); diff != "" || got != nil {
			t.Fatalf("after %s (actions %v):\n%s", step.key, got, diff)
		}
	}
}

func TestNothingToSteerWhenDone(t *testing.T) {
	if _, got, _ := typed(t, model{snap: done()}, letter('m'), letter('n')); got != nil {
		t.Errorf("asked for %v after the end", got)
	}
}

func TestNoteFadesAndSnapshotIsTakenOver(t *testing.T) {
	m, _, _ := typed(t, model{snap: ramp(), poll: ramp}, letter('m'))
	if m.u.note == "" {
		t.Fatal("no note after a key")
	}
	second := overload()
	for range 10 {
		next, cmd := m.Update(lookMsg{second})
		if m = next.(model); cmd == nil {
			t.Fatal("polling stopped")
		}
	}
	if m.u.note != "" || m.snap != second {
		t.Errorf("note %q, new snapshot %v", m.u.note, m.snap == second)
	}
}

func TestKeysChangeALoadThatMayBeChanged(t *testing.T) {
	space := tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
	keys := []tea.KeyPressMsg{letter('w'), letter('W'), letter('s'), letter('S'), space}
	s := ramp()
	s.SteerWhy = "the search decides the load; use n or q"
	m, got, _ := typed(t, model{snap: s, w: 80, h: 24}, keys...)
	if got != nil || m.u.note != s.SteerWhy {
		t.Errorf("asked for %v, note %q; want nothing and why", got, m.u.note)
	}
	s.Steer = record.ChangedUsers
	m, got, _ = typed(t, model{snap: s, w: 80, h: 24}, keys...)
	if diff := cmp.Diff([]Action{More, MuchMore, Less, MuchLess, Hold}, got); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	if m.u.note != "held" {
		t.Errorf("note %q", m.u.note)
	}
	for a, want := range map[Action]string{More: "+1 user", MuchLess: "-10 users"} {
		if got := asked(a, s); got != want {
			t.Errorf("%s is %q, want %q", a, got, want)
		}
	}
	s.Steer, s.Held = record.ChangedRate, true
	if more, hold := asked(MuchMore, s), asked(Hold, s); more != "+10 % of the rate" || hold != "going on" {
		t.Errorf("%q, %q", more, hold)
	}
}
