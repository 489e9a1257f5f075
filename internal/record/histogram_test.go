package record

import (
	"math/rand/v2"
	"testing"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"pgregory.net/rapid"
)

// values draws times in ns over the whole range and a little beyond it.
func values(t *rapid.T, label string) []int64 {
	return rapid.SliceOfN(rapid.OneOf(
		rapid.Int64Range(-10, 3_000_000),
		rapid.Int64Range(0, 700_000_000_000),
		rapid.Just(int64(highestUs)*1000),
	), 0, 200).Draw(t, label)
}

func tallyOf(ns []int64) *tally {
	t := &tally{}
	for _, v := range ns {
		us, _ := clampUs(v)
		t.record(us)
	}
	return t
}

// The truth is the library itself, fed with the same values.
func truth(ns ...[]int64) *hdr.Histogram {
	h := hdr.New(lowestUs, highestUs, digits)
	for _, list := range ns {
		for _, v := range list {
			us, _ := clampUs(v)
			if err := h.RecordValue(us); err != nil {
				panic(err)
			}
		}
	}
	return h
}

func TestMergeIsTheHistogramOfTheUnion(t *testing.T) {
	var e encoder
	rapid.Check(t, func(t *rapid.T) {
		a, b := values(t, "a"), values(t, "b")
		want := truth(a, b)

		joined := tallyOf(a)
		joined.merge(tallyOf(b))
		added := NewHistogram()
		added.add(tallyOf(a))
		added.add(tallyOf(b))
		viaText := NewHistogram()
		for _, list := range [][]int64{a, b} {
			h, err := Decode(e.encode(tallyOf(list)))
			if err != nil {
				t.Fatal(err)
			}
			viaText.Merge(h)
		}
		fromTally := NewHistogram()
		fromTally.add(joined)
		for name, got := range map[string]*Histogram{"tallies": fromTally, "histograms": added, "decoded": viaText} {
			if !got.h.Equals(want) || got.N() != uint64(len(a)+len(b)) {
				t.Fatalf("merging %s: %d values, not the union's histogram", name, got.N())
			}
		}
		if got := joined.n; got != uint64(want.TotalCount()) {
			t.Fatalf("the merged tally counts %d of %d", got, want.TotalCount())
		}
	})
}

func TestEncodingIsTheLibrarysFormat(t *testing.T) {
	var e encoder
	rapid.Check(t, func(t *rapid.T) {
		a := values(t, "a")
		text := e.encode(tallyOf(a))
		if len(a) == 0 {
			if text != "" {
				t.Fatalf("an empty tally encodes as %q", text)
			}
			return
		}
		got, err := hdr.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equals(truth(a)) {
			t.Fatal("the library reads another histogram than was written")
		}
		back, err := (&Histogram{h: got}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(back)
		if err != nil || !again.h.Equals(got) {
			t.Fatalf("the library's own encoding reads back differently: %v", err)
		}
	})
}

func TestResetForgetsEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := tallyOf(values(t, "before"))
		x.reset()
		after := values(t, "after")
		for _, v := range after {
			us, _ := clampUs(v)
			x.record(us)
		}
		h := NewHistogram()
		h.add(x)
		if !h.h.Equals(truth(after)) {
			t.Fatal("counts survived a reset")
		}
	})
}

func TestClamping(t *testing.T) {
	for _, c := range []struct {
		ns, us  int64
		clamped bool
	}{
		{-1, 1, true},
		{-1 << 63, 1, true},
		{0, 1, false},
		{499, 1, false},
		{1499, 1, false},
		{1500, 2, false},
		{600_000_000_000, 600_000_000, false},
		{600_000_001_000, 600_000_000, true},
		{1<<63 - 501, 600_000_000, true},
	} {
		us, clamped := clampUs(c.ns)
		if us != c.us || clamped != c.clamped {
			t.Errorf("clampUs(%d) = %d, %v, want %d, %v", c.ns, us, clamped, c.us, c.clamped)
		}
	}
}

func TestDecodeRefusesWhatIsNotOurs(t *testing.T) {
	foreign, err := hdr.New(1, 1000, 2).EncodeV2()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no base64": "***", "short": "AAAA", "other range": string(foreign), "noise": "HISTFAAAAAR4nGNgYGBgAAAABAAB",
	} {
		if h, err := Decode(text); err == nil {
			t.Errorf("%s: decoded %d values", name, h.N())
		}
	}
}

func FuzzDecode(f *testing.F) {
	var e encoder
	f.Add(e.encode(tallyOf([]int64{1000, 5_000_000, 5_000_000, 600_000_000_000})))
	f.Add("HISTFAAAAAR4nGNgYGBgAAAABAAB")
	f.Fuzz(func(t *testing.T, text string) {
		if h, err := Decode(text); err == nil {
			NewHistogram().Merge(h)
			_ = h.Percentiles()
		}
	})
}

func TestQuantilesAreWithinThreeDigits(t *testing.T) {
	h := NewHistogram()
	for i := 1; i <= 1000; i++ {
		h.RecordMs(float64(i))
	}
	for q, want := range map[float64]float64{0.5: 500, 0.95: 950, 0.999: 999, 1: 1000} {
		if got := h.QuantileMs(q); got < want*0.999 || got > want*1.001 {
			t.Errorf("quantile %v is %v ms, want %v", q, got, want)
		}
	}
	var n uint64
	h.Each(func(from, to float64, k uint64) { n += k })
	if n != 1000 {
		t.Errorf("Each visits %d values", n)
	}
}

func benchmarkTally() *tally {
	rng := rand.New(rand.NewPCG(1, 2))
	t := &tally{}
	for range 1000 {
		t.record(int64(100_000 * rng.ExpFloat64()))
	}
	return t
}

func BenchmarkEncode(b *testing.B) {
	var e encoder
	t := benchmarkTally()
	b.ReportAllocs()
	for b.Loop() {
		_ = e.encode(t)
	}
}
