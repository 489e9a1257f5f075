package record

import "math/bits"

// The range every latency histogram covers, in µs, with 3 significant digits. Values outside are clamped and counted.
const (
	lowestUs  = 1
	highestUs = 10 * 60 * 1_000_000
	digits    = 3
)

// A tally counts values in exactly the buckets of an HDR histogram of lowestUs…highestUs with 3 digits (2,048 sub-buckets
// of which the upper 1,024 are used from the second bucket on), but keeps them in pages of 1,024 counters that appear when
// first touched. Latencies of one second span a few pages: 4 KiB each instead of the dense histogram's 172 KiB, and clearing
// or merging a tally costs only what was touched. Counters are 32 bits: a tally lives for one frame.
type tally struct {
	pages [tallyPages]*[pageSize]uint32
	dirty uint32 // bit p: page p holds counts
	n     uint64
}

const (
	pageBits   = 10
	pageSize   = 1 << pageBits
	tallyPages = 21 // bits.Len(highestUs)=30 → bucket 19 → page 20 is the last
)

// record counts one value in µs; it must lie within the range.
func (t *tally) record(us int64) { t.add(bucketIndex(us), 1) }

func (t *tally) add(index int, n uint32) {
	p := index >> pageBits
	page := t.pages[p]
	if page == nil {
		page = new([pageSize]uint32)
		t.pages[p] = page
	}
	page[index&(pageSize-1)] += n
	t.dirty |= 1 << p
	t.n += uint64(n)
}

// bucketIndex is the position of a value in the counts array of the HDR histogram.
func bucketIndex(us int64) int {
	if us < 2*pageSize {
		return int(us)
	}
	bucket := bits.Len64(uint64(us)) - (pageBits + 1)
	return bucket<<pageBits + int(us>>bucket)
}

// bucketValue is the lowest value, in µs, counted at an index.
func bucketValue(index int) int64 {
	if index < 2*pageSize {
		return int64(index)
	}
	bucket := index>>pageBits - 1
	return int64(index-bucket<<pageBits) << bucket
}

// each calls f for every counter above zero, in ascending order of value.
func (t *tally) each(f func(index int, n uint32)) {
	for p := range t.pages {
		if t.dirty&(1<<p) == 0 {
			continue
		}
		for i, n := range t.pages[p] {
			if n > 0 {
				f(p<<pageBits+i, n)
			}
		}
	}
}

// merge adds every count of o.
func (t *tally) merge(o *tally) {
	if o.n == 0 {
		return
	}
	for p := range o.pages {
		if o.dirty&(1<<p) == 0 {
			continue
		}
		if t.pages[p] == nil {
			t.pages[p] = new([pageSize]uint32)
		}
		to, from := t.pages[p], o.pages[p]
		for i := range from {
			to[i] += from[i]
		}
	}
	t.dirty |= o.dirty
	t.n += o.n
}

// reset clears the counts and keeps the pages.
func (t *tally) reset() {
	for p := range t.pages {
		if t.dirty&(1<<p) != 0 {
			*t.pages[p] = [pageSize]uint32{}
		}
	}
	t.dirty, t.n = 0, 0
}

// clampUs turns ns into µs within the histogram's range, rounding to the nearest, and says whether it had to move the value:
// below zero (a clock that ran backwards, a field never set) or beyond ten minutes.
func clampUs(ns int64) (us int64, clamped bool) {
	if ns < 0 {
		return lowestUs, true
	}
	us = (ns + 500) / 1000
	switch {
	case us < lowestUs:
		return lowestUs, false
	case us > highestUs:
		return highestUs, true
	}
	return us, false
}
