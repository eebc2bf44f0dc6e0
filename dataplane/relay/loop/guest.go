// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
)

// Visitor is what becomes a connection, or goes away again. A worker calls it.
type Visitor interface {
	// Turn is called when something may have happened to a socket, when the deadline
	// has come, and after Call. It must not wait for anything.
	Turn()
	// Evict is called when the loop ends while the visitor is there.
	Evict()
}

// Guest is a visitor's place at a worker: its sockets are watched as those of a
// connection are, so that nothing has to be told to epoll again when it becomes
// one. But for Call, only the visitor's own methods may call these, and none after
// Leave or Start.
type Guest struct {
	visitor  Visitor
	conn     *Conn // which has no driver.Connection yet
	deadline core.Instant
	// here says that the worker has it.
	here bool
	// called is guarded by the worker's lock: it is to have a turn.
	called bool
}

// ErrClosed says that a loop has ended.
var ErrClosed = errors.New("the event loop has ended")

// Invite gives a visitor a place, and its first turn soon. guest is called with it
// before that. The error is ErrClosed.
func (l *Loop) Invite(v Visitor, guest func(*Guest)) error {
	w := l.workers[int(l.next.Add(1))%len(l.workers)]
	k := &Conn{worker: w, slot: none, timer: none}
	k.legs[core.Client].fd, k.legs[core.Upstream].fd = none, none
	g := &Guest{visitor: v, conn: k}
	guest(g)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return ErrClosed
	}
	w.callLocked(g)
	return nil
}

// Call has the visitor get a turn, from any goroutine and at any time.
func (g *Guest) Call() {
	w := g.conn.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closing {
		w.callLocked(g)
	}
}

func (w *worker) callLocked(g *Guest) {
	if !g.called {
		g.called = true
		w.calls = append(w.calls, g)
		w.ringLocked()
	}
}

// Now is when the turn began.
func (g *Guest) Now() core.Instant { return g.conn.worker.now }

// Buffer is the worker's, until the turn ends.
func (g *Guest) Buffer() []byte { return g.conn.worker.buffer }

// SetDeadline has the visitor get a turn at that moment, or a little later, as
// driver.Coarse says; 0 is never. Every moment that is another one costs a look at
// all guests.
func (g *Guest) SetDeadline(at core.Instant) {
	w := g.conn.worker
	if at != 0 {
		at = driver.Coarse(w.now, at)
	}
	g.deadline = at
	if at != 0 && (w.due == 0 || at < w.due) {
		w.due = at
	}
}

// Deadline is what was set.
func (g *Guest) Deadline() core.Instant { return g.deadline }

// Take makes a descriptor that of a side.
func (g *Guest) Take(side core.Side, fd int) { g.conn.legs[side] = leg{fd: int32(fd)} }

// Watch has the visitor get a turn when something happens to the socket of a side,
// or has happened already. Watching it again does nothing.
func (g *Guest) Watch(side core.Side) error {
	k, leg := g.conn, &g.conn.legs[side]
	if leg.generation != 0 {
		return nil
	}
	if k.slot == none {
		k.slot = k.worker.slots.take(k)
	}
	generation := k.worker.nextGeneration()
	if err := k.worker.watch(int(leg.fd), k.slot<<1|int32(side), generation); err != nil {
		return err
	}
	leg.generation = generation
	return nil
}

// Fresh says whether something happened to the socket of a side since it was last
// read to its end, or would not take any more.
func (g *Guest) Fresh(side core.Side) bool { return g.conn.legs[side].readable }

// Left says whether a side has ended its socket and nothing that it has sent before
// is still to be read.
func (g *Guest) Left(side core.Side) bool {
	leg := &g.conn.legs[side]
	return leg.hungUp && ended(leg.fd)
}

// Recv reads from a side. It returns unix.EAGAIN where nothing has come.
func (g *Guest) Recv(side core.Side, p []byte) (int, error) {
	leg := &g.conn.legs[side]
	n, err := recv(leg.fd, p)
	if n < len(p) {
		leg.readable = leg.hungUp && n > 0
	}
	return n, err
}

// Send writes to a side. It returns unix.EAGAIN where the socket takes nothing.
func (g *Guest) Send(side core.Side, p []byte) (int, error) {
	return send(g.conn.legs[side].fd, p)
}

// Waiting is the number of bytes that a side has sent and that were not read.
func (g *Guest) Waiting(side core.Side) int {
	n, err := unix.IoctlGetInt(int(g.conn.legs[side].fd), unix.SIOCINQ)
	if err != nil {
		return 0 // Its reader finds out.
	}
	return n
}

// Part gives a side's descriptor back; none, which is negative, where it has none.
func (g *Guest) Part(side core.Side) (fd int) {
	old := g.conn.legs[side]
	if old.generation != 0 {
		// A duplicate would keep it there.
		_ = epollCtl(g.conn.worker.epoll, unix.EPOLL_CTL_DEL, int(old.fd), nil)
	}
	g.conn.legs[side] = leg{fd: none}
	return int(old.fd)
}

// Leave ends the visit. Sockets that the guest still has are closed.
func (g *Guest) Leave() {
	for side := range core.Side(2) {
		if fd := g.conn.legs[side].fd; fd != none {
			closeSocket(fd)
			g.conn.legs[side].fd = none
		}
	}
	g.conn.worker.slots.free(g.conn)
	g.gone()
}

func (g *Guest) gone() {
	g.visitor, g.deadline, g.here = nil, 0, false
	delete(g.conn.worker.guests, g.conn)
}

// Start ends the visit and begins the connection, which has both sockets. early is
// what came with the upstream's handshake. The caller holds the connection's lock,
// and calls Run when it has let it go.
func (g *Guest) Start(conn driver.Connection, early []byte) *Conn {
	k := g.conn
	k.conn, k.core = conn, conn.Core()
	if early != nil {
		k.early = &early
	}
	k.running = true // Until Run. It need not be told of what happens meanwhile.
	g.gone()
	return k
}

// Run gives a connection that was a guest its first turn.
func (k *Conn) Run() {
	k.conn.Lock()
	k.worker.turn(k)
}

// greet gives a visitor its turn.
func (w *worker) greet(g *Guest) {
	if g == nil || g.visitor == nil {
		return // It has left, or was started.
	}
	if !g.here {
		g.here = true
		if w.guests == nil {
			w.guests = map[*Conn]*Guest{}
		}
		w.guests[g.conn] = g
	}
	g.visitor.Turn()
}

// remind gives those visitors their turn whose deadline has come. w.due is at or
// before the first of them: it does not follow those that were moved or have left
// until it comes.
func (w *worker) remind() {
	if w.due == 0 || w.due > w.now {
		return
	}
	var due []*Guest
	w.due = 0
	for _, g := range w.guests {
		switch {
		case g.deadline == 0:
		case g.deadline <= w.now:
			due = append(due, g)
		case w.due == 0 || g.deadline < w.due:
			w.due = g.deadline
		}
	}
	for _, g := range due {
		w.greet(g)
	}
}

// evict sends all visitors away.
func (w *worker) evict() {
	for _, g := range w.guests {
		g.visitor.Evict()
	}
}
