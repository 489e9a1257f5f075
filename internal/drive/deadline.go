package drive

import "time"

// timeoutError is one of a step's timeouts that ran out.
type timeoutError string

// The timeouts of a step. Each is a failure of class timeout and says in its detail which one it was.
const (
	totalTimeout     timeoutError = "total timeout: no complete response within the step's timeout"
	connectTimeout   timeoutError = "connect timeout: no connection within the step's timeouts.connect"
	firstByteTimeout timeoutError = "first byte timeout: no answer had begun within the step's timeouts.first_byte"
)

// Error says which.
func (e timeoutError) Error() string { return string(e) }

// limit is a timeout that some step has.
type limit struct {
	kind  timeoutError
	after time.Duration
}

// deadlines are the waits under way with one limit, the oldest first: since all wait equally long, the order of their
// start is the order of their deadlines, and joining or leaving costs the same however many there are.
type deadlines struct {
	limit
	head, tail *deadline
}

// deadline is a rider's place in one of the lists: in is nil where it has none.
type deadline struct {
	r              *rider
	in             *deadlines
	due            int64
	earlier, later *deadline
}

// join waits from now on.
func (x *deadline) join(d *deadlines, now int64) {
	x.in, x.due, x.earlier, x.later = d, now+int64(d.after), d.tail, nil
	if d.tail == nil {
		d.head = x
	} else {
		d.tail.later = x
	}
	d.tail = x
}

// leave waits no more.
func (x *deadline) leave() {
	if x.earlier == nil {
		x.in.head = x.later
	} else {
		x.earlier.later = x.later
	}
	if x.later == nil {
		x.in.tail = x.earlier
	} else {
		x.later.earlier = x.earlier
	}
	x.in, x.earlier, x.later = nil, nil, nil
}

// naps is a binary heap of the users that wait by the clock, the first to wake on top.
type naps []wakeup

type wakeup struct {
	due int64
	r   *rider
}

func (h *naps) push(n wakeup) {
	*h = append(*h, n)
	a := *h
	for i := len(a) - 1; i > 0; {
		up := (i - 1) / 2
		if a[up].due <= a[i].due {
			break
		}
		a[up], a[i] = a[i], a[up]
		i = up
	}
}

func (h *naps) pop() wakeup {
	a := *h
	top, last := a[0], len(a)-1
	a[0], a[last] = a[last], wakeup{}
	a = a[:last]
	*h = a
	for i := 0; ; {
		least := i
		for _, down := range [2]int{2*i + 1, 2*i + 2} {
			if down < len(a) && a[down].due < a[least].due {
				least = down
			}
		}
		if least == i {
			return top
		}
		a[least], a[i] = a[i], a[least]
		i = least
	}
}
