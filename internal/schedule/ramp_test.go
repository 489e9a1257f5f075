package schedule

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRampMovesEvenly(t *testing.T) {
	r := &Ramp{Stages: []RampStage{{10, 10 * time.Second}, {10, 5 * time.Second}, {0, 5 * time.Second}}}
	for at, want := range map[time.Duration]int{
		-time.Second: 0, 0: 0, 499 * time.Millisecond: 0, 500 * time.Millisecond: 1, 1499 * time.Millisecond: 1, 5 * time.Second: 5,
		9500 * time.Millisecond: 10, 12 * time.Second: 10, 15 * time.Second: 10, 15250 * time.Millisecond: 10,
		15251 * time.Millisecond: 9, 17500 * time.Millisecond: 5, 20 * time.Second: 0, time.Hour: 0,
	} {
		if got := r.At(at); got != want {
			t.Errorf("%d users at %v, want %d", got, at, want)
		}
	}
	if r.Length() != 20*time.Second || r.Peak() != 10 {
		t.Errorf("length %v, peak %d", r.Length(), r.Peak())
	}
	if _, ok := r.Next(20 * time.Second); ok {
		t.Error("it changes after its end")
	}
}

// Between two instants that Next gives nothing changes, and walking them finds every number and the area under the line.
func TestRampChangesWhereNextSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &Ramp{}
		line, from := 0.0, 0
		for range rapid.IntRange(1, 4).Draw(t, "stages") {
			s := RampStage{Users: rapid.IntRange(0, 60).Draw(t, "users"), For: time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Minute)).Draw(t, "for"))}
			r.Stages = append(r.Stages, s)
			line += float64(from+s.Users) / 2 * s.For.Seconds()
			from = s.Users
		}
		sum, at, steps := 0.0, time.Duration(0), 0
		for at < r.Length() {
			next, ok := r.Next(at)
			if !ok || next <= at {
				t.Fatalf("after %v comes %v, %v", at, next, ok)
			}
			if last := r.At(next - 1); last != r.At(at) {
				t.Fatalf("%d users at %v and %d at %v, with no change announced before %v", r.At(at), at, last, next-1, next)
			}
			sum += float64(r.At(at)) * (next - at).Seconds()
			if at = next; steps > 1000 {
				t.Fatal("it does not get on")
			}
			steps++
		}
		if math.Abs(sum-line) > 1e-6*(1+line)+1e-6 {
			t.Fatalf("%v user-seconds, the line encloses %v", sum, line)
		}
	})
}

func TestRampRefusesWhatItCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		r    Ramp
		says string
	}{
		"nothing":  {Ramp{}, "no stage has any users"},
		"nobody":   {Ramp{[]RampStage{{0, time.Second}}}, "no stage has any users"},
		"negative": {Ramp{[]RampStage{{-1, time.Second}}}, "less than none"},
		"no time":  {Ramp{[]RampStage{{1, 0}}}, "not positive"},
		"for ever": {Ramp{[]RampStage{{1, math.MaxInt64}, {1, 1}}}, "longer than"},
	} {
		if err := c.r.Check(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if err := (&Ramp{[]RampStage{{3, time.Second}}}).Check(); err != nil {
		t.Error(err)
	}
}
