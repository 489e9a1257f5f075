package tui

import (
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"github.com/captest/captest/internal/record"
)

// model is the one bubbletea model. Update does no I/O; View is a pure function of the model.
type model struct {
	poll  func() *record.Snapshot
	ask   func(Action)
	theme theme

	snap *record.Snapshot
	w, h int
	u    state

	noteTicks int  // how many more ticks the note stays
	leave     bool // ctrl-c came twice
}

// lookMsg carries a fresh snapshot.
type lookMsg struct{ snap *record.Snapshot }

// look polls the snapshot after a while.
func (m model) look() tea.Cmd {
	return tea.Tick(every, func(time.Time) tea.Msg { return lookMsg{m.poll()} })
}

// Init starts polling.
func (m model) Init() tea.Cmd { return m.look() }

// Update takes in a snapshot, a key or a new size.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case lookMsg:
		m.snap = msg.snap
		if m.noteTicks--; m.noteTicks <= 0 {
			m.u.note = ""
		}
		return m, m.look()
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m.press(msg)
	}
	return m, nil
}

// View is the screen as it should be now.
func (m model) View() tea.View {
	return tea.View{Content: screen(m.snap, m.w, m.h, m.u, m.theme), AltScreen: true}
}

// press answers a key.
func (m model) press(msg tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	pressed := func(names ...string) bool { return key.Matches(msg, key.NewBinding(key.WithKeys(names...))) }
	switch {
	case pressed("ctrl+c"):
		if m.u.quitting {
			m.leave = true
			return m, tea.Quit
		}
		return m.quit(), nil
	case m.u.help:
		m.u.help = false
		if !pressed("q") {
			return m, nil
		}
		return m.quit(), nil
	case pressed("q"):
		return m.quit(), nil
	case pressed("?", "h"):
		m.u.help = true
	case pressed("tab", "right"):
		m.u.view = (m.u.view + 1) % len(views())
	case pressed("shift+tab", "left"):
		m.u.view = (m.u.view + len(views()) - 1) % len(views())
	case pressed("+", "="):
		return m.zoom(+1), nil
	case pressed("-", "_"):
		return m.zoom(-1), nil
	}
	for name, a := range map[string]Action{"m": Mark, "n": Next, "w": More, "W": MuchMore, "s": Less, "S": MuchLess, "space": Hold} {
		if pressed(name) && !m.u.quitting && !m.over() {
			return m.steer(a), nil
		}
	}
	return m, nil
}

// steer asks for something, unless the load is not for keys to change.
func (m model) steer(a Action) model {
	s := m.snap
	if s == nil {
		s = &record.Snapshot{}
	}
	m.noteTicks = 8
	if a.steers() && s.Steer == "" {
		m.u.note, m.noteTicks = or(s.SteerWhy, "no load is running"), 16
		return m
	}
	m.ask(a)
	m.u.note = asked(a, s)
	return m
}

// quit asks for the end once; the screen stays until the experiment has wound up.
func (m model) quit() model {
	if !m.u.quitting {
		m.u.quitting, m.u.help = true, false
		m.ask(Quit)
	}
	return m
}

// zoom steps the charts' stretch of time, starting from the one that fits what there is.
func (m model) zoom(by int) model {
	all := scales()
	at := m.u.scale
	if at == 0 {
		s := m.snap
		if s == nil {
			s = &record.Snapshot{}
		}
		for at = 1; at < len(all)-1 && int(all[at]/time.Second) < len(s.History); at++ {
		}
	}
	m.u.scale = min(max(1, at+by), len(all)-1)
	return m
}

// over says that the experiment has ended: keys that steer it mean nothing any more.
func (m model) over() bool { return m.snap != nil && m.snap.Done }
