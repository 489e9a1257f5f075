package drive

// deadlines are the requests under way with one timeout, the oldest first: since all wait equally long, the order of their
// start is the order of their deadlines, and joining or leaving costs the same however many there are.
type deadlines struct {
	head, tail *rider
}

func (d *deadlines) join(r *rider, due int64) {
	r.due, r.earlier, r.later = due, d.tail, nil
	if d.tail == nil {
		d.head = r
	} else {
		d.tail.later = r
	}
	d.tail = r
}

func (d *deadlines) leave(r *rider) {
	if r.earlier == nil {
		d.head = r.later
	} else {
		r.earlier.later = r.later
	}
	if r.later == nil {
		d.tail = r.earlier
	} else {
		r.later.earlier = r.earlier
	}
	r.earlier, r.later = nil, nil
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
