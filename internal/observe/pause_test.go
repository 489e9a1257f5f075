package observe

import (
	"math"
	"runtime"
	"testing"
)

func TestPauses(t *testing.T) {
	bounds := []float64{math.Inf(-1), 0.001, 0.010, 0.100, math.Inf(1)}
	before := Pauses{[]uint64{10, 0, 1, 0}, bounds}
	now := Pauses{[]uint64{210, 3, 3, 1}, bounds}
	d := now.Since(before)
	if d.N() != 206 || d.P99Ms() != 100 { // of 206, the 204th: 200 shorter than 1 ms, 3 shorter than 10 ms, 2 shorter than 100 ms
		t.Errorf("p99 is %v ms", d.P99Ms())
	}
	if got := d.LongerMs(10); got != 2*10+100 {
		t.Errorf("%v ms in pauses of 10 ms and more", got)
	}
	if got := d.LongerMs(50); got != 100 {
		t.Errorf("%v ms in pauses of 50 ms and more", got)
	}
	if none := before.Since(before); none.P99Ms() != 0 || none.LongerMs(0) != 0 || (Pauses{}).P99Ms() != 0 || (Pauses{}).Since(before).LongerMs(0) != 0 {
		t.Error("no pauses have a length")
	}
	o := New(Config{})
	began := o.Pauses()
	runtime.GC()
	if p := o.Pauses().Since(began); p.P99Ms() <= 0 {
		t.Error("a collection left no pause")
	}
}
