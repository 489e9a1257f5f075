package drive

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/captest/captest/internal/record"
)

// dial opens the connection that the request in l.out wants.
func (l *loop) dial(r *rider, c *conn) {
	c.out = append(c.out[:0], l.out...)
	r.sample.Wait = max(l.clock.Now()-l.now, 0)
	l.await(r, r.w.dialWithin)
	l.connect(r, c)
}

// connect tries the endpoint's addresses from c.address on.
func (l *loop) connect(r *rider, c *conn) {
	to := &l.endpoints[c.endpoint]
	if to.err != nil {
		l.broke(r, record.ErrorDNS, describe(record.ErrorDNS, to.err))
		return
	}
	c.began = l.clock.Now()
	for ; c.address < len(to.addrs); c.address++ {
		fd, err := l.connectFrom(to.addrs[c.address])
		if err == nil {
			l.watch(c, fd)
			return
		}
		r.detail = err.Error()
		if c.address+1 == len(to.addrs) {
			c.address = 0
			l.brokeBy(r, err)
			return
		}
	}
}

// connectFrom starts a connection from the next source address that has a port left for it, or from where the kernel chooses.
func (l *loop) connectFrom(to netip.AddrPort) (fd int, err error) {
	if len(l.sources) == 0 {
		return connectTo(to, netip.Addr{})
	}
	for range l.sources {
		from := l.sources[l.source%len(l.sources)]
		l.source++
		if from.Is4() != to.Addr().Is4() {
			continue
		}
		if fd, err = connectTo(to, from); !is(err, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE) {
			return fd, err
		}
	}
	return -1, err
}

// watch has epoll tell of a socket from now on.
func (l *loop) watch(c *conn, fd int) {
	l.turn++
	c.fd, c.turn, c.state = fd, l.turn, dialling
	for len(l.byFD) <= fd {
		l.byFD = append(l.byFD, nil)
	}
	l.byFD[fd] = c
	ev := unix.EpollEvent{Events: pollInterest, Fd: int32(fd), Pad: c.turn}
	if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		l.fail(&localError{"epoll_ctl", err})
	}
}

// dialled is the end of a connection attempt.
func (l *loop) dialled(c *conn) {
	r := c.r
	if err := socketError(c.fd); err != nil {
		l.shut(c, record.ByTarget)
		if c.address++; c.address < len(l.endpoints[c.endpoint].addrs) {
			l.connect(r, c) // a name's next address
			return
		}
		c.address = 0
		l.brokeBy(r, err)
		return
	}
	c.state, c.served, c.carried, c.bytesIn, c.bytesOut, c.resent = up, 0, 0, 0, 0, 0
	l.rec.Opened()
	r.sample.Connected = l.now
	r.sample.Dial = max(l.now-c.began, 1)
	r.sample.Flags = record.NewConn
	l.sending(r, c)
	l.flush(c)
	if c.state == up && len(c.out) == 0 {
		c.out = nil // what comes next is written at once
	}
}

// render makes the request, in l.out; false ends the load.
func (l *loop) render(r *rider) bool {
	r.user.text = l.text
	var err error
	l.out, l.body, err = r.w.append(l.out[:0], l.body, r.user)
	l.text, r.user.text = r.user.text, nil
	if err != nil {
		l.fail(stepError(r.w.step, err))
	}
	return err == nil
}

// sending makes ready for the answer.
func (l *loop) sending(r *rider, c *conn) {
	if c.carried++; c.carried%sampleEvery == 0 {
		l.tell(c, record.StillOpen)
	}
	if l.written++; l.written%writeEvery != 1 {
		r.sample.Wrote = -1
	}
	l.await(r, r.w.answerWithin)
	c.in.start(r.w.headOnly, r.w.keep || l.keep)
	r.sink.buf, r.sink.limit = r.sink.buf[:0], exampleBody
	if r.w.whole {
		r.sink.limit = bodyMax
	}
}

// write sends the request in l.out.
func (l *loop) write(r *rider, c *conn) {
	l.sending(r, c)
	n, e := writeSocket(c.fd, l.out)
	switch {
	case e == 0:
		c.bytesOut += uint64(n)
		if n < len(l.out) {
			c.out = append(c.out[:0], l.out[n:]...)
		} else if r.sample.Wrote == 0 {
			r.sample.Wrote = l.clock.Now()
		}
	case e == syscall.EAGAIN:
		c.out = append(c.out[:0], l.out...)
	case c.served > 0 && !r.retried: // the kept connection had been closed; nothing of the request was sent
		l.afresh(r, c, closer(e))
	default:
		l.brokeBy(r, e)
	}
}

// afresh sends the request in l.out on a new connection.
func (l *loop) afresh(r *rider, c *conn, by record.ClosedBy) {
	r.retried = true
	l.shut(c, by)
	r.sample.FirstByte, r.sample.Wrote = 0, 0
	l.dial(r, c)
}

// repeat makes the request once more and sends it on a new connection: the kept one was closed when it came, and it is of a kind
// that may be sent twice.
func (l *loop) repeat(r *rider, c *conn, by record.ClosedBy) {
	if l.render(r) {
		l.afresh(r, c, by)
	}
}

// flush sends what the socket had no room for.
func (l *loop) flush(c *conn) {
	n, e := writeSocket(c.fd, c.out)
	switch {
	case e == syscall.EAGAIN:
	case e != 0:
		if c.r.on == c {
			l.brokeBy(c.r, e)
		} else {
			l.shut(c, closer(e))
		}
	default:
		c.bytesOut += uint64(n)
		c.out = c.out[:copy(c.out, c.out[n:])]
		if len(c.out) > 0 {
			return
		}
		if c.r.on == c && c.r.sample.Wrote == 0 {
			c.r.sample.Wrote = l.clock.Now()
		}
		if cap(c.out) > readAtOnce {
			c.out = nil
		}
	}
}

// readable takes what has come. With ended, the peer has closed its side, so that everything up to the end is read.
func (l *loop) readable(c *conn, ended bool) {
	for turn := c.turn; c.state == up && c.turn == turn; {
		n, e := readSocket(c.fd, l.in)
		r := c.r
		busy := r.on == c
		switch {
		case e == syscall.EAGAIN:
			return
		case e == syscall.EINTR:
			continue
		case e != 0:
			if !busy {
				l.shut(c, closer(e))
			} else if c.served > 0 && !c.in.started && r.w.again && !r.retried {
				l.repeat(r, c, closer(e))
			} else {
				l.brokeBy(r, e)
			}
			return
		case n == 0:
			l.closedByPeer(r, c, busy)
			return
		}
		c.bytesIn += uint64(n)
		if !busy { // nobody asked for anything
			l.shut(c, record.ByCaptest)
			return
		}
		l.now = l.clock.Now()
		if r.sample.FirstByte == 0 {
			r.sample.FirstByte = l.now
			l.await(r, -1)
		}
		used, done, err := c.in.feed(l.in[:n], &r.sink)
		switch {
		case err != nil:
			r.sample.Status = uint16(c.in.status)
			l.broke(r, record.ErrorProtocol, clip(err.Error()))
			return
		case done:
			if !c.in.keepAlive() {
				l.shut(c, record.ByTarget)
			} else if used < n || len(c.out) > 0 {
				l.shut(c, record.ByCaptest)
			}
			l.answered(r, c)
		}
		if n < len(l.in) && !ended {
			return
		}
	}
}

// closedByPeer is an end of file.
func (l *loop) closedByPeer(r *rider, c *conn, busy bool) {
	if !busy {
		l.shut(c, record.ByTargetIdle)
		return
	}
	l.now = l.clock.Now()
	done, err := c.in.eof()
	switch {
	case done:
		l.shut(c, record.ByTarget)
		l.answered(r, c)
	case !c.in.started && c.served > 0 && r.w.again && !r.retried:
		l.repeat(r, c, record.ByTarget)
	default:
		l.brokeBy(r, err)
	}
}

// shut closes a connection, after it is told of.
func (l *loop) shut(c *conn, by record.ClosedBy) {
	if c.state == down {
		return
	}
	if c.state == up {
		l.tell(c, by)
		l.rec.Closed()
	}
	l.byFD[c.fd] = nil
	_ = unix.Close(c.fd) // epoll forgets it with its last descriptor
	c.state, c.fd = down, -1
}
