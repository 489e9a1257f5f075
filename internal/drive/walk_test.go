package drive

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

// steps is a scenario of GETs; a name that ends in "?" is one of several alternatives.
func steps(names ...string) *scenarios.Scenario {
	s := &scenarios.Scenario{Name: "walk"}
	for _, n := range names {
		name, alternative := strings.CutSuffix(n, "?")
		x := scenarios.Step{Name: name, Timeout: time.Minute, Request: scenarios.Request{Method: http.MethodGet, Path: scenarios.Literal("/" + name)}}
		if alternative {
			x.Weight = 1
		}
		s.Steps = append(s.Steps, x)
	}
	return s
}

func TestAWalkAsksEveryStepUntilOneFails(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/bad") {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer s.Close()
	tests := []struct {
		steps []string
		want  string
	}{
		{[]string{"a", "b", "c"}, "a+ b+ c+"},
		{[]string{"a", "bad", "c"}, "a+ bad-"},
		{[]string{"bad1?", "b?", "bad2?", "c?"}, "bad1- b+ bad2- c+"},
	}
	for _, tt := range tests {
		for _, onFresh := range []bool{true, false} {
			p := prober(t, Config{Target: target(s.URL), Scenario: steps(tt.steps...)})
			var got []string
			for _, x := range p.Walk(t.Context(), onFresh, time.Second) {
				mark := "-"
				if x.OK {
					mark = "+"
				}
				got = append(got, x.Step+mark)
				if x.Probe != "functional" || x.Service != "main" || (x.Connection == "fresh") != onFresh {
					t.Errorf("%+v", x)
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%v: got %v, want %s", tt.steps, got, tt.want)
			}
		}
	}
}

// Clients that lose patience close their connections: the target sees each of them go.
func TestImpatientClientsAbortTheirConnections(t *testing.T) {
	for name, make := range map[string]func(Config) (Engine, error){
		"net/http": func(c Config) (Engine, error) { return NewHTTP(c) },
		"native":   func(c Config) (Engine, error) { return NewNative(c) },
	} {
		t.Run(name, func(t *testing.T) {
			var came, gone atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				came.Add(1)
				<-r.Context().Done()
				gone.Add(1)
			}))
			defer s.Close()
			e, err := make(Config{Target: target(s.URL), Scenario: steps("a"), Identity: NewIdentity(1, "walk", nil)})
			if err != nil {
				t.Skip(err)
			}
			defer e.Close()
			rec := record.NewRecorder(record.RecorderConfig{Clock: record.NewClock(), Steps: []string{"a"}})
			// A busy machine may take longer than their patience to bring them there: then they get more of it.
			for patience := 30 * time.Millisecond; came.Load() < 9 && patience < 10*time.Second; patience *= 4 {
				came.Store(0)
				gone.Store(0)
				if tally, err := e.Drive(t.Context(), Load{Users: 3, Total: 9, Patience: patience}, rec); err != nil || tally.Journeys != 9 || tally.Failed != 9 {
					t.Fatalf("%+v, %v; want nine that give up", tally, err)
				}
				eventually(t, "whoever came is gone", func() bool { return gone.Load() == came.Load() })
			}
			rec.Enter(record.Mark{Trial: -1})
			if came.Load() != 9 || gone.Load() != 9 {
				t.Errorf("the target saw %d of 9 clients come and %d go", came.Load(), gone.Load())
			}
		})
	}
}
