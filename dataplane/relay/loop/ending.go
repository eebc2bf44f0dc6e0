// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
)

// lingerTimeout is how long a socket is read from after its end was sent, so that
// the peer gets what was written to it last: bytes that come to a closed socket
// make the kernel send a reset, which may overtake them. It is also how long the
// peer may take to take that.
const lingerTimeout = 2 * time.Second

// ending is a socket that is no connection's any more: the rest is written, its
// end is sent, and then it is read from until the peer has ended it, too.
type ending struct {
	fd       int32
	rest     []byte
	shut     bool // its end was sent
	deadline core.Instant
	// generation is its epoll data.
	generation uint32
	// over is called when it is closed; nil where nobody waits for that.
	over *overdue
}

// overdue calls Over when the last socket of a connection is closed.
type overdue struct {
	conn driver.Connection
	left int
}

func (o *overdue) done() {
	if o == nil {
		return
	}
	if o.left--; o.left == 0 {
		o.conn.Over()
	}
}

// endings are a worker's.
type endings struct {
	byGeneration map[uint32]*ending
	most         int // how many there were since the map was made
	// queue has them in the order of their deadlines; those that ended before have
	// no descriptor.
	queue []*ending
}

// end ends the sockets of a connection that is over.
func (s *endings) end(w *worker, conn driver.Connection, socks []int32) {
	over := &overdue{conn: conn, left: 1}
	for _, fd := range socks {
		if fd != none {
			over.left++
			s.begin(w, &ending{fd: fd, over: over})
		}
	}
	over.done()
}

// begin begins with a socket. Mostly its peer has ended it already, and there is
// nothing to wait for.
func (s *endings) begin(w *worker, e *ending) {
	if e.step() {
		return
	}
	if s.byGeneration == nil {
		s.byGeneration = map[uint32]*ending{}
	}
	generation := w.nextGeneration()
	event := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: endingData, Pad: int32(generation),
	}
	err := epollCtl(w.epoll, unix.EPOLL_CTL_MOD, int(e.fd), &event)
	if errors.Is(err, unix.ENOENT) {
		err = epollCtl(w.epoll, unix.EPOLL_CTL_ADD, int(e.fd), &event)
	}
	if err != nil {
		e.close()
		return
	}
	e.generation, e.deadline = generation, w.now.Add(lingerTimeout)
	s.byGeneration[generation] = e
	s.most = max(s.most, len(s.byGeneration))
	s.queue = append(s.queue, e)
}

// event goes on with a socket.
func (s *endings) event(generation uint32) {
	if e := s.byGeneration[generation]; e != nil && e.step() {
		delete(s.byGeneration, generation)
	}
}

// next returns when the first has waited long enough; 0 is never.
func (s *endings) next() core.Instant {
	for len(s.queue) > 0 && s.queue[0].fd == none {
		s.queue = s.queue[1:]
	}
	if len(s.queue) == 0 {
		s.queue = nil
		if s.most > few { // A map does not give memory back by itself.
			s.byGeneration, s.most = nil, 0
		}
		return 0
	}
	return s.queue[0].deadline
}

// expire closes those that have waited long enough.
func (s *endings) expire(now core.Instant) {
	for next := s.next(); next != 0 && next <= now; next = s.next() {
		s.queue[0].close()
		delete(s.byGeneration, s.queue[0].generation)
	}
}

// close closes all of them.
func (s *endings) close() {
	for _, e := range s.queue {
		e.close()
	}
}

// step does what can be done now. It returns true when the socket is closed.
func (e *ending) step() bool {
	if e.fd == none {
		return true
	}
	for len(e.rest) > 0 {
		n, err := send(e.fd, e.rest)
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			return e.close()
		}
		if n == 0 {
			return false
		}
		e.rest = e.rest[n:]
	}
	if !e.shut {
		// Where the peer has ended it already, closing is all there is to do.
		n, err := discard(e.fd)
		later := errors.Is(err, unix.EAGAIN)
		if n == 0 && !later {
			return e.close()
		}
		e.shut = true
		if !endOutput(e.fd) {
			return e.close()
		}
		if later {
			return false // Whatever comes from here on is an event.
		}
	}
	// A peer that sends on and on is not followed for ever.
	for range 64 {
		n, err := discard(e.fd)
		if errors.Is(err, unix.EAGAIN) {
			return false
		}
		if n == 0 || err != nil {
			return e.close()
		}
	}
	return false
}

// close closes the socket.
func (e *ending) close() bool {
	if e.fd != none {
		closeSocket(e.fd)
		e.fd = none
		e.over.done()
	}
	return true
}
