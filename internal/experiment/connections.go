package experiment

import (
	"context"
	"fmt"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
)

// Sizes of the connections test.
const (
	connectionsLength = 2500 * time.Millisecond
	connectionsFewest = 6    // answers of each kind
	connectionsMost   = 5000 // fresh connections: each leaves a port of ours waiting for a minute
)

// connectionsTest holds the same few users once on connections they keep and once on a fresh one for each request: what the
// difference is goes into setting connections up. Source: measurement 5.2, T5.
func (x *experiment) connectionsTest(ctx context.Context) (record.Test, error) {
	s, _ := x.Target.Find(x.Scenario.Steps[0].Service)
	out := record.Test{Where: s.Name, Words: map[string]string{"step": x.Scenario.Steps[0].Name}}
	best := search.Best(x.found)
	if best <= 0 {
		out.Skipped = unsized
		return out, nil
	}
	if best*connectionsLength.Seconds() < connectionsFewest {
		out.Skipped = fmt.Sprintf("at %.2g/s too few requests come in %.0f s", best, connectionsLength.Seconds())
		return out, nil
	}
	x.testSent = true
	users := x.kneeUsers(1)
	sums := map[drive.Sharing]drive.CrowdSums{}
	modes := []drive.Sharing{drive.KeptConnections, drive.FreshConnections}
	if x.Asker.Multiplexes() {
		modes = append(modes, drive.OneConnection)
	} else {
		out.Words["shared"] = "not made: one connection for all needs --http 2 (or h2c)"
	}
	for _, how := range modes {
		c, err := x.Asker.Crowd(ctx, users, how, connectionsLength, connectionsMost)
		if err != nil {
			return out, err
		}
		sums[how] = c
		x.countCrowd(c.Sent)
		if err := sleep(ctx, testPause); err != nil {
			return out, err
		}
	}
	kept, fresh := sums[drive.KeptConnections], sums[drive.FreshConnections]
	if kept.OK < connectionsFewest {
		out.Skipped = fmt.Sprintf("%d answers on kept connections: too few", kept.OK)
		return out, nil
	}
	out.Values = map[string]float64{"users": float64(users)}
	for how, c := range sums {
		out.Values[string(how)+"_per_second"] = float64(c.OK) / c.Seconds
		out.Values[string(how)+"_failed_percent"] = failedPercent(c)
		if c.OK > 0 {
			out.Values[string(how)+"_ms"] = 1000 * c.Mean.Seconds()
		}
	}
	out.Values["goodput_ratio"] = out.Values["fresh_per_second"] / out.Values["kept_per_second"]
	if fresh.OK > 0 {
		out.Values["time_ratio"] = out.Values["fresh_ms"] / out.Values["kept_ms"]
	}
	if n := len(fresh.Dials); n > 0 {
		out.Values["dial_ms"], out.Values["dial_max_ms"] = 1000*fresh.Dials[n/2].Seconds(), 1000*fresh.Dials[n-1].Seconds()
	}
	return out, nil
}
