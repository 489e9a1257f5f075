package observe

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
)

func TestGeneratorCPUIsTheDifferenceBetweenTwoInstants(t *testing.T) {
	const second = int64(time.Second)
	s := &self{used: []usage{{0, 1}, {second, 1.5}, {3 * second, 1.5}}}
	for at, want := range map[int64]float64{-5: 1, 0: 1, second / 2: 1.25, second: 1.5, 2 * second: 1.5, 9 * second: 1.5} {
		if got := s.at(at).cpu; math.Abs(got-want) > 1e-12 {
			t.Errorf("CPU used by %v is %v, want %v", time.Duration(at), got, want)
		}
	}
}

func TestBusyLoopShowsInGeneratorCPU(t *testing.T) {
	if _, ok := cpuSeconds(); !ok {
		t.Skip("CPU time is unknown here")
	}
	clock := record.NewClock()
	o := New(Config{Clock: clock})
	since := clock.Now()
	before, _ := cpuSeconds()
	for { // a known amount of CPU, however long that takes here
		if now, _ := cpuSeconds(); now > before+0.2 {
			break
		}
	}
	used, elapsed := 0.2, float64(clock.Now()-since)/1e9
	got, ok := o.GeneratorCPU(since)
	if want := 100 * used / elapsed; !ok || got < want*0.8 {
		t.Errorf("%v s of CPU in %v s is %v %%, want at least %v", used, elapsed, got, want)
	}
	if _, ok := o.GeneratorCPU(clock.Now() + int64(time.Hour)); ok {
		t.Error("the CPU use of the future is known")
	}
}

func TestMemoryOfUsagesIsBounded(t *testing.T) {
	s := newSelf(record.NewClock())
	if len(s.used) == 0 {
		t.Skip("CPU time is unknown here")
	}
	for range 3 * mostUsages {
		s.note()
	}
	if len(s.used) > mostUsages {
		t.Errorf("%d instants are kept", len(s.used))
	}
	for i := 1; i < len(s.used); i++ {
		if s.used[i].at < s.used[i-1].at || s.used[i].cpu < s.used[i-1].cpu {
			t.Fatalf("instant %d is before the one before it", i)
		}
	}
}

func TestHostReading(t *testing.T) {
	o := New(Config{})
	runtime.GC()
	for range 200_000 { // some CPU, so that the machine's counters move
		runtime.Gosched()
	}
	time.Sleep(50 * time.Millisecond)
	o.readHost()
	h := o.Host()
	if h.Goroutines == nil || *h.Goroutines < 1 {
		t.Errorf("goroutines are %v", h.Goroutines)
	}
	if h.GCPauseP99Ms == nil || *h.GCPauseP99Ms <= 0 || *h.GCPauseP99Ms > 10_000 {
		t.Errorf("GC pause p99 after a collection is %v", h.GCPauseP99Ms)
	}
	if runtime.GOOS != "linux" {
		return
	}
	for name, v := range map[string]*float64{
		"generator cpu": h.GeneratorCPUPercent, "rss": h.GeneratorRSSBytes, "fds": h.GeneratorFDs, "fd limit": h.GeneratorFDLimit,
		"tcp in use": h.TCPInUse, "time wait": h.TCPTimeWait, "listen overflows": h.ListenOverflows, "retransmits": h.RetransSegs,
	} {
		if v == nil || *v < 0 || math.IsNaN(*v) {
			t.Errorf("%s is unknown on Linux", name)
		}
	}
	if h.CPUPercent == nil || *h.CPUPercent < 0 || *h.CPUPercent > 100 {
		t.Errorf("the machine's CPU is %v", h.CPUPercent)
	}
	if *h.GeneratorRSSBytes < 1<<20 || *h.GeneratorFDs < 3 || *h.GeneratorFDs > *h.GeneratorFDLimit {
		t.Errorf("rss %v, %v of %v descriptors", *h.GeneratorRSSBytes, *h.GeneratorFDs, *h.GeneratorFDLimit)
	}
}

func TestFingerprint(t *testing.T) {
	h := Fingerprint()
	if h.OS != runtime.GOOS || h.CPUs < 1 || h.GOMAXPROCS < 1 || h.GoVersion == "" {
		t.Errorf("fingerprint is %+v", h)
	}
	if runtime.GOOS == "linux" && (h.Kernel == "" || h.CPUModel == "" || h.MemoryBytes < 1<<24) {
		t.Errorf("fingerprint of a Linux machine is %+v", h)
	}
	if h != Fingerprint() {
		t.Error("the same machine has two fingerprints")
	}
}
