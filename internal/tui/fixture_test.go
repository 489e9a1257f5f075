package tui

import (
	"math"
	"time"

	"github.com/captest/captest/internal/record"
)

// history makes n ticks of one phase with a small, reproducible ripple.
func history(phase string, n int, goodput, errors, p50, inFlight float64) []record.Tick {
	var out []record.Tick
	for i := range n {
		ripple := 1 + 0.08*math.Sin(float64(i)*1.7) + 0.04*math.Sin(float64(i)*0.6)
		t := record.Tick{Goodput: goodput * ripple, Errors: errors * ripple, InFlight: inFlight, Phase: phase}
		if goodput+errors > 0 {
			t.P50Ms, t.P95Ms, t.P99Ms = p50*ripple, p50*ripple*1.25, p50*ripple*(1.5+0.2*math.Cos(float64(i)))
		}
		out = append(out, t)
	}
	return out
}

func join2(parts ...[]record.Tick) []record.Tick {
	var out []record.Tick
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// gauges are those of the bundled services.
func gauges(busy, hash, semaphore, pool float64) []record.Gauge {
	return []record.Gauge{
		{Service: "user", Name: "event loop busy", Value: busy, Max: 100, Unit: "%"},
		{Service: "user", Name: "hash pool", Value: hash, Max: 4},
		{Service: "user", Name: "semaphore", Value: semaphore, Max: 10},
		{Service: "user", Name: "pool in use", Value: pool, Max: 20},
		{Service: "user", Name: "open fds", Value: 41 + pool, Max: 1024},
		{Service: "billing", Name: "in progress", Value: pool},
		{Service: "billing", Name: "open fds", Value: 23, Max: 1024},
		{Service: "kill-bill", Name: "in progress", Value: pool / 2},
		{Service: "kill-bill", Name: "mean", Value: 203, Unit: "ms"},
	}
}

func start() *record.Snapshot {
	return &record.Snapshot{Scenario: "registration", Target: "reference", Profile: "before", Trial: -1}
}

func ramp() *record.Snapshot {
	s := start()
	s.Elapsed, s.Left = 35*time.Second, 100*time.Second
	s.Phase, s.PhaseNote, s.PhaseLeft, s.Trial = "ramp", "8 users, closed", 5*time.Second, 3
	s.Load = record.Load{Users: 8}
	s.OfferedPerSecond, s.GoodputPerSecond, s.InFlight = 7.4, 7.4, 8
	s.Latency = record.Quantiles{N: 7, MeanMs: 1074, P50Ms: 1070, P90Ms: 1210, P95Ms: 1240, P99Ms: 1240, MaxMs: 1241}
	s.TrialLatency = record.Quantiles{N: 37, MeanMs: 1081, P50Ms: 1071, P90Ms: 1260, P95Ms: 1312, P99Ms: 1390, MaxMs: 1402}
	s.Total, s.TotalOK = 203, 203
	s.Steps = []record.StepNow{{Name: "register", N: 37, OK: 37, Latency: s.TrialLatency}}
	s.Connections = record.ConnectionsNow{Open: 8, Peak: 8, Opened: 15, ReusedPercent: 92.6}
	s.Gauges = gauges(97.6, 0, 0, 8)
	s.GeneratorCPUPercent = 2.3
	s.History = join2(history("baseline", 10, 3.6, 0, 276, 1), history("ramp", 7, 7, 0, 290, 2), history("ramp", 7, 7.3, 0, 560, 4), history("ramp", 11, 7.4, 0, 1070, 8))
	return s
}

func overload() *record.Snapshot {
	s := ramp()
	s.Elapsed, s.Left = 74*time.Second, 61*time.Second
	s.Phase, s.PhaseNote, s.PhaseLeft, s.Trial = "overload", "120/s for 20 s, 16 times the capacity", 9*time.Second, 7
	s.Load = record.Load{RatePerSecond: 120, Arrivals: "slotted"}
	s.OfferedPerSecond, s.GoodputPerSecond, s.ErrorsPerSecond, s.InFlight = 120, 1.2, 46.8, 847
	s.Latency = record.Quantiles{N: 48, MeanMs: 9930, P50Ms: 10001, P90Ms: 10004, P95Ms: 10004, P99Ms: 10007, MaxMs: 10007}
	s.TrialLatency = record.Quantiles{N: 471, MeanMs: 7630, P50Ms: 9230, P90Ms: 10002, P95Ms: 10003, P99Ms: 10006, MaxMs: 10011}
	s.Total, s.TotalOK, s.TotalErrors, s.Dropped = 966, 548, 418, 112
	s.Errors = []record.Count{{Name: "timeout", N: 371}, {Name: "refused", N: 31}, {Name: "status", N: 11}, {Name: "reset", N: 4}, {Name: "closed", N: 1}}
	s.Steps[0].N, s.Steps[0].OK, s.Steps[0].Latency = 471, 53, s.TrialLatency
	s.Connections = record.ConnectionsNow{Open: 847, Peak: 851, Opened: 1389, ReusedPercent: 22.4}
	s.Gauges = gauges(100, 0, 0, 19)
	s.Gauges[5].Stale, s.Gauges[6].Stale = true, true
	s.LagP99Ms, s.GeneratorCPUPercent = 0.42, 31
	s.Warnings = []string{"billing did not answer its metrics within 1 s (3 times)"}
	s.History = join2(s.History, history("level", 28, 7.3, 0, 1090, 8), history("overload", 5, 6, 2, 3000, 300), history("overload", 6, 1.2, 46, 10000, 800))
	return s
}

func recovery() *record.Snapshot {
	s := overload()
	s.Elapsed, s.Left = 96*time.Second, 39*time.Second
	s.Phase, s.PhaseNote, s.PhaseLeft, s.Trial = "recovery", "no load; probing until it answers well for 10 s", 39*time.Second, -1
	s.Load = record.Load{}
	s.OfferedPerSecond, s.GoodputPerSecond, s.ErrorsPerSecond, s.InFlight = 0, 0, 0, 0
	s.Latency, s.TrialLatency, s.Steps = record.Quantiles{}, record.Quantiles{}, nil
	s.Connections.Open = 0
	s.LagP99Ms = 0
	s.Health = []record.ProbeNow{
		{Name: "register, fresh connection", OK: false, Ms: 5000},
		{Name: "register, kept connection", OK: false, Ms: 5000},
		{Name: "health, fresh connection", OK: true, Ms: 3.1},
		{Name: "health, kept connection", OK: true, Ms: 1.8},
	}
	s.Warnings = append(s.Warnings, "2 arrivals of the overload were still in flight when it ended")
	s.History = join2(s.History, history("overload", 9, 0.8, 47, 10000, 800), history("release", 3, 0, 0, 0, 0), history("recovery", 10, 0, 0, 0, 0))
	return s
}

func done() *record.Snapshot {
	s := recovery()
	s.Elapsed, s.Left, s.PhaseLeft = 131*time.Second, 0, 0
	s.Done = true
	s.PhaseNote = "the service came back after 31 s"
	for i := range s.Health {
		s.Health[i].OK, s.Health[i].Ms = true, 2.4
	}
	s.History = join2(s.History, history("recovery", 35, 0, 0, 0, 0))
	return s
}
