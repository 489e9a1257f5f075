package drive

import "testing"

// A head is recognised by all of its bytes, and no other is: not one that only begins alike, nor one of a HEAD request, whose
// length means nothing.
func TestASeenHeadIsRecognised(t *testing.T) {
	once(t)
	const (
		two  = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
		one  = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
		more = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab"
	)
	p := response{seen: &seenHead{}}
	for i, x := range []struct {
		text   string
		head   bool
		body   string
		keep   bool
		misses uint
	}{
		{two, false, "ab", true, 1},
		{two, false, "ab", true, 1}, // recognised: not a miss
		{one, false, "a", true, 2},
		{two[:len(two)-2], true, "", true, 2}, // of a HEAD: neither looked up nor remembered
		{more, false, "ab", false, 3},
		{two, false, "ab", true, 3},
	} {
		got := parse(&p, x.text, x.head)
		if got.err != nil || got.status != 200 || got.body != x.body || got.keep != x.keep || got.used != len(x.text) || p.seen.misses != x.misses {
			t.Errorf("answer %d: %v, %d misses, want body %q, keep-alive %v, %d misses", i, got, p.seen.misses, x.body, x.keep, x.misses)
		}
	}
	for range seenEvery {
		parse(&p, one, false)
	}
	if string(p.seen.text)+"a" != one {
		t.Errorf("%q is remembered of a target that now says %q", p.seen.text, one)
	}
}
