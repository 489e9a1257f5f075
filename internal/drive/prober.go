package drive

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

// Prober asks single questions beside or after the load: does the service do its work (Journey), does it say that it is
// healthy (Get). Each kind on a fresh connection, as a new client comes, and on a kept one, as a client that was there before:
// the two part ways when it is connections that are stuck. Its connections are not counted as the load's.
//
// Its methods may be called at the same time; probes of one kind on one kept connection wait for each other.
type Prober struct {
	sender *sender
	config Config

	mu   sync.Mutex
	kept map[keptKey]*keptUser
}

type keptKey struct{ kind, service string }

// keptUser is a user with a long-lived connection. It is dialled anew only when it broke.
type keptUser struct {
	mu        sync.Mutex
	user      *user
	connected bool // it has had a connection
}

// Kinds and connections of probes, as record.Probe carries them.
const (
	functional = "functional"
	health     = "health"
	fresh      = "fresh"
	kept       = "kept"
)

// NewProber makes one. It draws unique data from the Config's Identity, as the load does, and stamps probes with its Clock.
func NewProber(c Config) (*Prober, error) {
	if c.Clock.Start().IsZero() {
		return nil, errors.New("drive: a prober needs the run's clock")
	}
	s, err := newSender(&c)
	if err != nil {
		return nil, err
	}
	return &Prober{sender: s, config: c, kept: map[keptKey]*keptUser{}}, nil
}

// Journey is the functional probe: the scenario's first step, with data of its own, judged as the load's are. Setup comes
// first where the scenario has one, outside the probe's time. timeout 0 is the step's own.
func (p *Prober) Journey(ctx context.Context, onFresh bool, timeout time.Duration) record.Probe {
	s := &p.sender.script.steps[0]
	service := p.config.Scenario.Steps[0].Service
	if found, ok := p.config.Target.Find(service); ok {
		service = found.Name
	}
	return p.probe(functional, service, onFresh, func(u *user) result {
		if out := u.prepare(ctx); out.failed() {
			return out
		}
		if onFresh {
			u.rest() // the connection setup came on is not fresh any more
		}
		if err := u.begin(); err != nil {
			return result{fatal: err}
		}
		return u.send(ctx, s, choose(timeout, s.timeout), -1, nil)
	})
}

// Get is the health probe: GET path of a service ("" is the target's entry); any 2xx is healthy. timeout 0 is
// scenarios.DefaultTimeout.
func (p *Prober) Get(ctx context.Context, service, path string, onFresh bool, timeout time.Duration) record.Probe {
	if found, ok := p.config.Target.Find(service); ok {
		service = found.Name
	}
	from := scenarios.Step{
		Name: health, Service: service,
		Request: scenarios.Request{Method: http.MethodGet, Path: scenarios.Literal(path)},
	}
	s, err := compileStep(&from, p.config.Target, p.config.Headers)
	return p.probe(health, service, onFresh, func(u *user) result {
		if err != nil {
			return result{fatal: err}
		}
		return u.send(ctx, &s, choose(timeout, s.timeout), -1, nil)
	})
}

// probe asks on the right connection and writes down the answer.
func (p *Prober) probe(kind, service string, onFresh bool, ask func(*user) result) record.Probe {
	probe := record.Probe{Probe: kind, Connection: fresh, Service: service}
	var out result
	if onFresh {
		u := p.sender.user(0)
		out = ask(u)
		u.rest()
	} else {
		probe.Connection = kept
		k := p.keeper(keptKey{kind, service})
		k.mu.Lock()
		out = ask(k.user)
		probe.Redialled = k.connected && out.sample.Flags&record.NewConn != 0
		k.connected = k.connected || out.sample.Connected > 0
		k.mu.Unlock()
	}
	p.fill(&probe, &out)
	return probe
}

// fill writes an outcome into its probe.
func (p *Prober) fill(probe *record.Probe, out *result) {
	x := &out.sample
	if x.Started == 0 { // nothing was sent
		x.Started = p.sender.clock.Now()
		x.Done = x.Started
	}
	if out.fatal != nil {
		x.Error = record.ErrorOther
	}
	probe.OffsetS = float64(x.Started) / 1e9
	probe.Ms = float64(x.ServiceTime()) / 1e6
	probe.Status = int(x.Status)
	probe.OK = x.Error == record.ErrorNone
	probe.Error = x.Error.String()
}

// keeper gives the user that holds a kept connection.
func (p *Prober) keeper(key keptKey) *keptUser {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.kept[key]
	if k == nil {
		k = &keptUser{user: p.sender.user(0)}
		p.kept[key] = k
	}
	return k
}

// Close ends the kept connections and every dial. Call it when no probe is under way; none can be sent any more.
func (p *Prober) Close() {
	p.sender.connector.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.kept {
		k.user.rest()
	}
	clear(p.kept)
}

func choose[T int | time.Duration](first, otherwise T) T {
	if first > 0 {
		return first
	}
	return otherwise
}
