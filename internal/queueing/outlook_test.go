package queueing

import (
	"cmp"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// incident is the registration that died at 50 users: bcrypt on one event loop, two clients built a journey, some work
// beside them, and a downstream at 0.2 s that is said to do 133/s.
func incident(bcrypt, clients, rest float64) System {
	return System{
		Resources: []Resource{
			{Name: "loop", Demand: Exactly(bcrypt + clients + rest), Servers: 1, Utilization: 0.99, Queue: true},
			{Name: "downstream", Demand: Exactly(0.2), Delay: true, Limit: 133},
		},
		Highest: 1 / (bcrypt + clients + rest), Flat: true,
	}
}

func TestIncident(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		s    System
		x, r float64
	}{
		{"bcrypt alone", incident(0.1, 0, 0), 10, 5},
		{"and clients", incident(0.1, 2*0.0266, 0.01), 6.13, 8.16},
	} {
		o, err := tt.s.Outlook(50)
		if err != nil || !near(o.Throughput.Value, tt.x, 0.002) || !near(o.ResponseTime.Value, tt.r, 0.002) || o.Limit.Resource != "loop" {
			t.Errorf("%s: %+v %v", tt.name, o, err)
		}
		if o.Next == nil || o.Next.Resource != "downstream" || o.Next.PerSecond.Value != 133 {
			t.Errorf("%s: next %+v", tt.name, o.Next)
		}
	}

	// The obvious fix: hash on 4 cores at 0.2 s, one client for all, 20 ms left on the loop.
	s := incident(0.2, 2*0.0266, 0.02)
	p, err := Predict(s, 50, OffLoop{Loop: "loop", To: "hash pool", Seconds: 0.2, Servers: 4}, ReuseClients{Loop: "loop", Construct: 2 * 0.0266})
	if err != nil {
		t.Fatal(err)
	}
	if !near(p.Before.Highest.Value, 1/0.2732, 1e-9) || p.Before.Limit.Resource != "loop" {
		t.Errorf("before %+v", p.Before)
	}
	var got []float64
	for _, c := range p.After.Ceilings {
		got = append(got, c.PerSecond.Value)
	}
	if len(got) != 3 || !near(got[0], 20, 1e-9) || !near(got[1], 50, 1e-9) || !near(got[2], 133, 1e-9) {
		t.Errorf("ceilings after %v, want 20, 50, 133", got)
	}
	a := p.After
	if a.Limit.Resource != "hash pool" || !a.Limit.Full || a.Next.Resource != "loop" || !near(a.Highest.Low, 17, 1e-9) || !near(a.Highest.High, 23, 1e-9) {
		t.Errorf("after %+v", a)
	}
	if !near(a.Throughput.Value, 20, 0.01) || !near(a.ResponseTime.Value, 2.5, 0.01) {
		t.Errorf("at 50 users %+v in %+v s", a.Throughput, a.ResponseTime)
	}
	all := strings.Join(append(p.Changes, p.Sentences...), "\n")
	for _, want := range []string{"from 3.66/s to 20/s (17–23)", "hash pool limits then, and loop (50/s) after it", "beyond the 3.66/s that were measured", "move 0.2 s of work from loop to hash pool"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in:\n%s", want, all)
		}
	}

	// 133/s needs 26.6 cores and 2.66 loops; a fix to that ends at the downstream's own claim, whatever the error.
	if n, err := Occupied(133, 0.2); err != nil || !near(n, 26.6, 1e-12) {
		t.Errorf("cores %v %v", n, err)
	}
	p, err = Predict(s, 50, OffLoop{Loop: "loop", To: "hash pool", Seconds: 0.2, Servers: 27}, ReuseClients{Loop: "loop", Construct: 2 * 0.0266}, Workers{Loop: "loop", N: 3})
	if err != nil || p.After.Limit.Resource != "downstream" || p.After.Highest.High != 133 || p.After.Next.Resource != "hash pool" {
		t.Errorf("27 cores and 3 workers: %+v %v", p.After, err)
	}
	// Half the hash doubles what the cores do.
	p, err = Predict(s, 50, OffLoop{Loop: "loop", To: "hash pool", Seconds: 0.2, Servers: 4}, HashCost{Resource: "hash pool", Delta: -1, Hash: 0.2}, ReuseClients{Loop: "loop", Construct: 0.0532})
	if err != nil || !near(p.After.Highest.Value, 40, 1e-9) {
		t.Errorf("a cost less: %+v %v", p.After.Highest, err)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	base := System{Resources: []Resource{
		{Name: "loop", Demand: Interval{0.09, 0.1, 0.12}, Servers: 1},
		{Name: "network", Demand: Exactly(0.05), Delay: true},
		{Name: "pool", Demand: Exactly(0.2), Servers: 5, Overlaps: true},
		{Name: "billing", Demand: Exactly(0.2), Servers: 10},
	}}
	find := func(s System, name string) Resource {
		for _, r := range s.Resources {
			if r.Name == name {
				return r
			}
		}
		return Resource{}
	}
	for _, tt := range []struct {
		change   Change
		resource string
		want     Resource
	}{
		{OffLoop{"loop", "cores", 0.05, 4}, "cores", Resource{Name: "cores", Demand: Exactly(0.05), Servers: 4}},
		{OffLoop{"loop", "billing", 0.05, 12}, "billing", Resource{Name: "billing", Demand: Exactly(0.25), Servers: 12}},
		{ReuseClients{"loop", "network", 0.02, 0.04}, "network", Resource{Name: "network", Demand: Exactly(0.01), Delay: true}},
		{Resize{"pool", 20}, "pool", Resource{Name: "pool", Demand: Exactly(0.2), Servers: 20, Overlaps: true}},
		{Workers{Loop: "loop", N: 3}, "loop", Resource{Name: "loop", Demand: Interval{0.09, 0.1, 0.12}, Servers: 3}},
		{Workers{Loop: "loop", N: 3, Most: 2.1}, "loop", Resource{Name: "loop", Demand: Interval{0.09, 0.1, 0.12}, Servers: 2.1}},
		{Workers{Loop: "loop", N: 3, Most: 4}, "loop", Resource{Name: "loop", Demand: Interval{0.09, 0.1, 0.12}, Servers: 3}},
		{HashCost{"billing", 1, 0.1}, "billing", Resource{Name: "billing", Demand: Exactly(0.3), Servers: 10}},
		{Scale{"network", 8, 0.1, 80}, "network", Resource{Name: "network", Demand: Exactly(0.1), Servers: 8, Delay: true, Limit: 80}},
	} {
		after, err := tt.change.Apply(base)
		if err != nil {
			t.Fatal(err)
		}
		got := find(after, tt.resource)
		ok := near(got.Demand.Low, tt.want.Demand.Low, 1e-9) && near(got.Demand.Value, tt.want.Demand.Value, 1e-9) && near(got.Demand.High, tt.want.Demand.High, 1e-9)
		if got.Demand, tt.want.Demand = (Interval{}), (Interval{}); !ok || got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.change, find(after, tt.resource), tt.want)
		}
		if find(base, "loop").Demand.Value != 0.1 || len(base.Resources) != 4 {
			t.Fatalf("%s changed the system it was given", tt.change)
		}
	}
	for _, tt := range []struct {
		change Change
		want   Reason
	}{
		{OffLoop{"loop", "cores", 0.2, 4}, ImpossibleFix},
		{OffLoop{"gone", "cores", 0.2, 4}, UnknownResource},
		{Resize{"gone", 4}, UnknownResource},
		{Resize{"network", 4}, ImpossibleFix},
		{OffLoop{"loop", "loop", 0.01, 4}, ""},
		{OffLoop{"loop", "pool", 0.01, 4}, ""},
		{OffLoop{"loop", "cores", math.NaN(), 4}, ""},
		{Workers{Loop: "loop"}, ""},
		{HashCost{"billing", 1, 0}, ""},
		{HashCost{"billing", 99, 0.1}, ""},
		{Scale{"network", 0, 1, 0}, ""},
		{ReuseClients{"loop", "network", -1, 0}, ""},
	} {
		if _, err := Predict(base, 5, tt.change); err == nil || reason(err) != tt.want {
			t.Errorf("%s: %v, want %q", tt.change, err, tt.want)
		}
	}
}

func TestBottleneckNeedsEvidence(t *testing.T) {
	t.Parallel()
	s := System{Resources: []Resource{
		{Name: "hash pool", Demand: Exactly(0.1), Servers: 4, Utilization: 0.5},
		{Name: "semaphore", Demand: Exactly(0.2), Servers: 20, Utilization: 0.4},
	}, Highest: 20}
	name, _, err := s.Bottleneck()
	if err != nil || name != "" {
		t.Errorf("a curve that rises: %q %v", name, err)
	}
	s.Flat = true
	name, sentence, err := s.Bottleneck()
	if err != nil || name != Uninstrumented || sentence != "an uninstrumented resource limits at 20/s" {
		t.Errorf("nothing full: %q %q %v", name, sentence, err)
	}
	p, err := Predict(s, 10, Resize{"hash pool", 40})
	if err != nil || p.After.Highest != Exactly(20).widenLow() || p.After.Limit.Resource != Uninstrumented {
		t.Errorf("a fix beside the bottleneck promises %+v %v", p.After, err)
	}
	s.Resources[1].Queue = true
	if name, _, err = s.Bottleneck(); err != nil || name != "semaphore" {
		t.Errorf("a queue at the semaphore: %q %v", name, err)
	}
	if _, err := (System{Resources: []Resource{{Name: "a", Demand: Exactly(1), Delay: true}}}).Outlook(1); reason(err) != NoResource {
		t.Errorf("delays alone: %v", err)
	}
	for n, bad := range map[string]System{
		"no name":       {Resources: []Resource{{Servers: 1, Demand: Exactly(1)}}},
		"twice":         {Resources: []Resource{{Name: "a", Servers: 1, Demand: Exactly(1)}, {Name: "a", Servers: 1, Demand: Exactly(1)}}},
		"no servers":    {Resources: []Resource{{Name: "a", Demand: Exactly(1)}}},
		"turned":        {Resources: []Resource{{Name: "a", Servers: 1, Demand: Interval{2, 1, 0}}}},
		"no demand":     {Resources: []Resource{{Name: "a", Servers: 1, Demand: Exactly(math.Inf(1))}}},
		"no throughput": {Highest: math.NaN()},
	} {
		if _, err := bad.Outlook(1); err == nil || reason(err) != "" {
			t.Errorf("%s: %v", n, err)
		}
	}
}

// widenLow is what is left of an interval that may not grow upwards.
func (i Interval) widenLow() Interval { return Interval{i.Low * (1 - ModelError), i.Value, i.High} }

// TestOutlookHolds: bounds are in order, nothing exceeds a ceiling, and a pool that overlaps limits without adding time.
func TestOutlookHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := System{Think: rapid.SampledFrom([]float64{0, 1}).Draw(t, "think")}
		for i := range rapid.IntRange(1, 4).Draw(t, "resources") {
			d := rapid.Float64Range(0.001, 1).Draw(t, "demand")
			s.Resources = append(s.Resources, Resource{
				Name: string(rune('a' + i)), Servers: float64(rapid.IntRange(1, 30).Draw(t, "servers")),
				Demand:   Interval{d * rapid.Float64Range(0, 1).Draw(t, "low"), d, d * rapid.Float64Range(1, 2).Draw(t, "high")},
				Overlaps: i > 0 && rapid.Bool().Draw(t, "overlaps"), Limit: rapid.SampledFrom([]float64{0, 0, 5}).Draw(t, "limit"),
			})
		}
		users := rapid.IntRange(1, 60).Draw(t, "users")
		p, err := Predict(s, users, Resize{"a", 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range []Outlook{p.Before, p.After} {
			for name, i := range map[string]Interval{"highest": o.Highest, "throughput": o.Throughput, "time": o.ResponseTime, "knee": o.Knee} {
				if math.IsNaN(i.Value) || i.Low > i.Value*(1+1e-9) || i.Value > i.High*(1+1e-9) {
					t.Fatalf("%s %+v", name, i)
				}
			}
			if o.Throughput.Value > o.Highest.Value*(1+1e-9) || o.Highest.Value > o.Ceilings[0].PerSecond.Value*(1+1e-9) {
				t.Fatalf("%+v", o)
			}
		}
	})
}

// TestOverlap: connections that wait for a downstream are busy for as long as it takes, but no longer.
func TestOverlap(t *testing.T) {
	t.Parallel()
	s := System{Resources: []Resource{
		{Name: "loop", Demand: Exactly(0.01), Servers: 1},
		{Name: "downstream", Demand: Exactly(0.2), Delay: true},
		{Name: "pool", Demand: Exactly(0.2), Servers: 5, Overlaps: true},
	}}
	one, err1 := s.Outlook(1)
	many, err2 := s.Outlook(50)
	if err := cmp.Or(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !near(one.ResponseTime.Value, 0.21, 1e-9) || !near(one.Knee.Value, 0.21*25, 1e-9) {
		t.Errorf("one user: %+v", one)
	}
	if many.Throughput.Value != 25 || many.ResponseTime.Value != 2 || many.Limit.Resource != "pool" {
		t.Errorf("50 users: %+v", many)
	}
}

func TestSizing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		x, hold, headroom float64
		want              int
	}{{133, 0.2, 0, 27}, {133, 0.2, 0.3, 35}, {100, 0.2, 0, 20}, {10, 0.1, 0.5, 2}, {0.1, 0.1, 0.2, 1}} {
		if n, err := PoolSize(tt.x, tt.hold, tt.headroom); err != nil || n != tt.want {
			t.Errorf("pool for %v/s × %v s and %v: %d %v, want %d", tt.x, tt.hold, tt.headroom, n, err, tt.want)
		}
	}
	if total, each, err := ConcurrencyLimit(26.6, 4); err != nil || total != 32 || each != 8 {
		t.Errorf("limit %d, each %d, %v", total, each, err)
	}
	for name, err := range map[string]error{
		"milliseconds for seconds": second(PoolSize(1e9, 200, 0)),
		"no throughput":            second(PoolSize(0, 1, 0)),
		"negative headroom":        second(PoolSize(1, 1, -1)),
		"NaN":                      second(Occupied(math.NaN(), 1)),
	} {
		if err == nil {
			t.Errorf("%s is no error", name)
		}
	}
	if _, _, err := ConcurrencyLimit(3, 0); err == nil {
		t.Error("no workers is no error")
	}
}
