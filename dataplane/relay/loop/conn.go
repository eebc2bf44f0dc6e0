// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
	"github.com/wsproxy/wsproxy/dataplane/relay/tcp"
	"github.com/wsproxy/wsproxy/dataplane/socket"
)

// Conn drives one connection; 112 bytes.
type Conn struct {
	conn   driver.Connection
	core   *core.Conn
	worker *worker

	// The fields below are guarded by the connection's lock.

	legs [2]leg
	// early is what came with the upstream's handshake, to be received before
	// anything is read from it.
	early *[]byte
	// rearm says that the core's Next may have moved forward.
	rearm bool
	// running says that a worker is at it, again that it has to look once more.
	running, again bool
	// ended says that the loop has nothing to do with the connection any more.
	ended bool
	// attached says that a leg is there that epoll does not know.
	attached bool

	// posted is guarded by the worker's lock: it is in the worker's mail.
	posted bool

	// The fields below are the worker's alone.

	// queued says that it is in line for another turn.
	queued bool
	slot   int32 // none until the worker has seen it
	timer  int32 // the place among the timers; none while it has none
}

var _ driver.Driver = (*Conn)(nil)

// leg is the socket of one side.
type leg struct {
	fd int32 // none while there is no socket
	// generation tells this socket's events from those of one before.
	generation uint32
	// kept is how many bytes the core keeps for it.
	kept int32
	// room is how many bytes the socket will surely take, as far as is known; more
	// when its peer has acknowledged some.
	room int32
	// readable says that there may be something to be read; hungUp that a read that
	// returns less than it could does not say that there is no more: the end may be
	// next, or urgent data was in between, at which the kernel ends a read.
	readable, hungUp bool
	// failed says that a read has returned an error, which the kernel does not do
	// again; starved that the kernel had no memory for a write, and does not say when
	// it has.
	failed, starved bool
	// blocked says that the socket takes no more for now; keeping that the core
	// keeps the rest of a batch for it.
	blocked, keeping bool
	// paused says that the core was told that the leg is not read from.
	paused bool
	// bulk says that what is to be written here comes in large pieces, greedy that
	// the socket takes as much as it has room for.
	bulk, greedy bool
}

// Attach implements driver.Driver. The error may be ErrNotPlain.
func (k *Conn) Attach(sock net.Conn, early []byte) error {
	fd, err := descriptor(sock)
	if err != nil {
		return err
	}
	k.legs[core.Upstream] = leg{fd: fd, paused: k.legs[core.Upstream].paused}
	k.early = nil
	if early != nil {
		k.early = &early
	}
	k.attached = true
	_ = sock.Close() // What is left of it is the duplicate.
	return nil
}

// Detach implements driver.Driver.
func (k *Conn) Detach(farewell []byte) (int, bool) {
	leg := &k.legs[core.Upstream]
	if leg.fd == none {
		return 0, false
	}
	fd := leg.fd
	leg.fd = none
	k.early = nil
	unacked := tcp.Unacked(int(fd))
	if farewell == nil {
		_ = unix.Close(int(fd)) // Nothing is to be known of it any more.
	} else {
		k.worker.seeOff(&ending{fd: fd, rest: farewell})
	}
	return unacked, true
}

// AwaitDetached implements driver.Driver. There is nothing to wait for, but the
// core may not know yet that a write was given up.
func (k *Conn) AwaitDetached() { k.giveUp(core.Upstream) }

// giveUp tells the core that what it kept for a socket that is gone was not taken.
func (k *Conn) giveUp(side core.Side) {
	if leg := &k.legs[side]; leg.keeping && leg.fd == none {
		leg.keeping, leg.kept = false, 0
		k.core.Wrote(driver.Now(), side, 0, true)
	}
}

// Reset implements driver.Driver.
func (k *Conn) Reset(side core.Side) {
	leg := &k.legs[side]
	if leg.fd == none {
		return
	}
	// Without this the peer gets FIN and may wait for more. Errors of a socket that
	// is given up are of no interest.
	_ = unix.SetsockoptLinger(int(leg.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(int(leg.fd))
	leg.fd = none
}

// Rearm implements driver.Driver.
func (k *Conn) Rearm() { k.rearm = true }

// Wake implements driver.Driver.
func (k *Conn) Wake() {
	if k.running {
		k.again = true
		return
	}
	if !k.ended {
		k.worker.post(k)
	}
}

// Release gives up the connection, for another driver, and returns its client. The
// connection has no upstream, and its lock is held.
func (k *Conn) Release() (net.Conn, error) {
	leg := &k.legs[core.Client]
	// Of a duplicate: if this fails, the connection goes on with the one that it has.
	duplicate, err := unix.FcntlInt(uintptr(leg.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("give a socket to another driver: %w", err)
	}
	sock, err := socket.Conn(duplicate, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("give a socket to another driver: %w", err)
	}
	if k.slot != none {
		// The duplicate would keep it there.
		_ = unix.EpollCtl(k.worker.epoll, unix.EPOLL_CTL_DEL, int(leg.fd), nil)
	}
	_ = unix.Close(int(leg.fd))
	leg.fd = none
	k.ended = true
	k.worker.post(k)
	return sock, nil
}

// register makes epoll know the sockets. One that it does not take is lost.
func (k *Conn) register(now core.Instant) {
	k.attached = false
	for side := range core.Side(len(k.legs)) {
		leg := &k.legs[side]
		if leg.fd == none || leg.generation != 0 {
			continue
		}
		leg.generation = k.worker.nextGeneration()
		err := k.worker.watch(int(leg.fd), k.slot<<1|int32(side), leg.generation)
		if err != nil {
			k.core.Lost(now, side, core.BrokenSocket)
		}
	}
}

// event notes what happened to a socket.
func (k *Conn) event(side core.Side, generation, events uint32) {
	leg := &k.legs[side]
	if leg.generation != generation {
		return // It speaks of a socket that is gone.
	}
	const end = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	if events&(unix.EPOLLIN|end) != 0 {
		leg.readable = true
	}
	if events&(unix.EPOLLOUT|end) != 0 {
		leg.blocked = false
	}
	if events&(unix.EPOLLPRI|end) != 0 {
		leg.hungUp = true
	}
}

func (k *Conn) peer(side core.Side) core.Peer {
	if fd := k.legs[side].fd; fd != none {
		return tcp.Peer(int(fd))
	}
	return core.Peer{}
}
