package experiment

import (
	"testing"

	"pgregory.net/rapid"
)

func level(n int, x float64) Level {
	return Level{Users: n, PerSecond: x, MeanMs: 1000 * float64(n) / x, Within: true, Usable: true}
}

func TestNextLevel(t *testing.T) {
	t.Parallel()
	broken := level(4, 8)
	broken.Within = false
	invalid := level(4, 8)
	invalid.Usable = false
	tests := []struct {
		name   string
		levels []Level
		want   int
		why    string
	}{
		{"a ramp starts at one user", nil, 1, ""},
		{"it doubles while that helps", []Level{level(1, 4), level(2, 8)}, 4, ""},
		{"one flat doubling may be noise", []Level{level(1, 4), level(2, 8), level(4, 8)}, 8, ""},
		{"two flat doublings end it", []Level{level(1, 4), level(2, 8), level(4, 8.1), level(8, 8.2)}, 0, rampFlat},
		{"a flat one between gains does not", []Level{level(1, 4), level(2, 4.1), level(4, 8)}, 8, ""},
		{"falling throughput is flat too", []Level{level(1, 9), level(2, 8), level(4, 7)}, 0, rampFlat},
		{"a broken limit ends it", []Level{level(1, 4), level(2, 8), broken}, 0, rampLimit},
		{"an invalid trial ends it", []Level{level(1, 4), level(2, 8), invalid}, 0, rampInvalid},
		{"it ends at its cap", []Level{level(512, 100), level(1024, 200)}, 0, rampCap},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, why := nextLevel(tt.levels)
			if got != tt.want || why != tt.why {
				t.Errorf("nextLevel = %d %q, want %d %q", got, why, tt.want, tt.why)
			}
		})
	}
}

// TestRampFindsTheKnee climbs simulated closed systems of m servers of S seconds, whose throughput is exactly
// min(N/S, m/S): the ramp must end, and N* must be m.
func TestRampFindsTheKnee(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := float64(rapid.IntRange(1, 200).Draw(t, "servers"))
		s := rapid.Float64Range(0.001, 5).Draw(t, "service time")
		var levels []Level
		for {
			n, why := nextLevel(levels)
			if n == 0 {
				if why != rampFlat && why != rampCap {
					t.Fatalf("ramp ended because %q", why)
				}
				break
			}
			levels = append(levels, level(n, min(float64(n), m)/s))
		}
		k, ok := knee(levels)
		if !ok || k < m*0.999 || k > m*1.001 {
			t.Fatalf("knee = %v %v, want %v", k, ok, m)
		}
		if got := overloadUsers(levels, 0); float64(got) < 2*m-1 {
			t.Fatalf("overload of %d users is below twice the knee %v", got, m)
		}
	})
}

func TestOverloadUsers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		levels []Level
		floor  int
		want   int
	}{
		{"twice the knee", []Level{level(1, 4), level(2, 40)}, 0, 20},
		{"the target's floor", []Level{level(1, 4), level(2, 8)}, 50, 50},
		{"a serial service is overloaded beyond its best level", []Level{level(1, 4), level(2, 4), level(4, 4)}, 0, 8},
		{"nothing measured", nil, 0, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := overloadUsers(tt.levels, tt.floor); got != tt.want {
				t.Errorf("overloadUsers = %d, want %d", got, tt.want)
			}
		})
	}
}
