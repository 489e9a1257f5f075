package observe

import (
	"runtime"
	"testing"
)

func TestOwn(t *testing.T) {
	for text, want := range map[string]int{"32768\t60999\n": 28232, "1 1": 1, "": 0, "5": 0, "9 5": 0, "a b": 0, "1 2 3": 0, "1 70000": 0} {
		if got := portsOf([]byte(text)); got != want {
			t.Errorf("%q: %d ports, want %d", text, got, want)
		}
	}
	if runtime.GOOS != "linux" {
		return
	}
	if open, limit := Descriptors(); open < 3 || limit <= open {
		t.Errorf("%d descriptors open of %d", open, limit)
	}
	if LocalPorts() <= 0 {
		t.Error("no ports for connections")
	}
}
