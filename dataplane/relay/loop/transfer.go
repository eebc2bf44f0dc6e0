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

const (
	// keepBytes bounds what a connection keeps of its peers' data, in both
	// directions together: with what else it has, 16 KiB are not exceeded.
	keepBytes = 12 << 10
	// bufferBytes is the size of a worker's buffer, and so of the largest read. From
	// here on larger reads save nothing that can be measured.
	bufferBytes = 256 << 10
	// turnBytes is how much of a connection is moved before others have their turn.
	turnBytes = 512 << 10
	// leastBytes are read where nothing may be kept: where the other direction has
	// filled keepBytes.
	leastBytes = 512
	// fewBytes are not worth another read.
	fewBytes = 4 << 10
)

// run moves what there is to move, tells the connection what came of it, and sets
// the timer. The lock is held. Afterwards the connection may have ended.
func (k *Conn) run(now core.Instant) {
	k.running = true
	for turn := turnBytes; ; {
		k.again = false
		if k.attached {
			k.register(now)
		}
		// First both are written to: a side is read from only where the other took
		// what came before.
		k.flush(now, core.Client)
		k.flush(now, core.Upstream)
		fromClient, fromUpstream := k.pull(now, core.Client), k.pull(now, core.Upstream)
		moved := fromClient + fromUpstream
		if moved > 0 && turn == turnBytes { // What comes later in a turn came after now.
			k.time(now, fromClient, fromUpstream)
		}
		if k.core.HasEffects() {
			k.conn.Changed()
		}
		if k.core.Phase() == core.Done {
			k.ended = true
			break
		}
		if moved == 0 && !k.again {
			break
		}
		if turn -= moved; turn <= 0 {
			k.worker.requeue(k)
			break
		}
	}
	k.running = false
	if k.rearm {
		k.rearm = false
		k.worker.arm(k, k.core.Next())
	}
}

// timedEvery is of how many turns one is timed. Looking at the clock and keeping the
// figure takes a sixth of a microsecond, a turn at least four. It is a prime: of two
// sides that talk in turns it must not always be the same one.
const timedEvery = 61

// time tells, of some turns, how long what was read took to get to the other side's
// socket. It counts from when the worker learned of all that has happened, so that
// it has the time in which others had their turn.
func (k *Conn) time(now core.Instant, fromClient, fromUpstream int) {
	w := k.worker
	if w.untimed--; w.untimed > 0 {
		return
	}
	w.untimed = timedEvery
	from := core.Upstream // which was read last
	if fromUpstream == 0 {
		from = core.Client
	}
	if to := &k.legs[from.Other()]; max(fromClient, fromUpstream) > 1 && to.fd != none && !to.keeping {
		k.conn.Relayed(from, driver.Now().Sub(now))
	}
}

// flush writes what there is to be written to a side, as far as its socket takes
// it.
func (k *Conn) flush(now core.Instant, to core.Side) {
	leg := &k.legs[to]
	if leg.keeping {
		k.giveUp(to)
		for leg.keeping && !leg.blocked {
			k.write(now, to, k.core.Rest(to))
		}
	}
	for !leg.keeping && leg.fd != none && k.core.Phase() != core.Done {
		batch := k.core.Take(to)
		if batch == nil {
			return
		}
		k.write(now, to, batch)
	}
}

// write writes a batch once, and tells the core.
func (k *Conn) write(now core.Instant, to core.Side, batch [][]byte) {
	leg := &k.legs[to]
	total := 0
	for _, b := range batch {
		total += len(b)
	}
	n, err := sendAll(leg.fd, batch)
	switch {
	case n == total:
		leg.keeping, leg.kept, leg.room = false, 0, max(leg.room-int32(n), 0)
		k.core.Wrote(now, to, n, false)
	case err == nil || errors.Is(err, unix.EAGAIN):
		// The kernel says when there is room again, because it was asked for more
		// than it had.
		leg.keeping, leg.blocked, leg.kept, leg.room = true, true, int32(total-n), 0
		k.core.Kept(to, n)
		if total-n > keepBytes+k.core.Sending() { // What is sent to the client was never read here.
			k.worker.misjudged(now)
		}
		if n == 0 {
			k.starve(leg)
		}
	default:
		leg.keeping, leg.kept = false, 0
		k.core.Wrote(now, to, n, true)
	}
}

// pull reads from a side once, if something may have come and can be passed on, and
// passes it on. It returns how many bytes that were; or 1 where the side ended.
func (k *Conn) pull(now core.Instant, from core.Side) int {
	leg, other := &k.legs[from], &k.legs[from.Other()]
	wants := 0
	if leg.fd != none && !other.keeping {
		wants = k.core.Wants(from, bufferBytes)
	}
	if wants == 0 {
		if !leg.paused {
			leg.paused = true
			k.core.Pause(now, from)
		}
		return 0
	}
	if leg.paused {
		leg.paused = false
		k.core.Resume(now, from)
	}
	if from == core.Upstream && k.early != nil {
		early := *k.early
		k.early = nil
		k.receive(now, from, early)
		return len(early)
	}
	if !leg.readable {
		return 0
	}
	n, err := k.read(from, wants)
	switch {
	case n > 0:
		k.receive(now, from, k.worker.buffer[:n])
		return n
	case err == nil && !leg.failed:
		leg.readable = false
		k.core.Lost(now, from, core.EndOfStream)
		return 1
	case errors.Is(err, unix.EAGAIN):
		leg.readable = false
		return 0
	default:
		leg.readable = false
		k.core.Lost(now, from, core.BrokenSocket)
		return 1
	}
}

// receive has bytes passed on. The buffer that they are in may be used for
// something else afterwards.
func (k *Conn) receive(now core.Instant, from core.Side, p []byte) {
	k.core.Receive(now, from, p)
	k.flush(now, from.Other())
	k.flush(now, from)
}

// read reads into the worker's buffer: no more than may have to be kept, and what
// the other side's socket will surely take on top.
//
// How much that is, is asked only where the first piece says that it matters, or
// where it did so the last time; a small message costs one system call.
func (k *Conn) read(from core.Side, wants int) (int, error) {
	leg, other, w := &k.legs[from], &k.legs[from.Other()], k.worker
	first := max(keepBytes-int(leg.kept), leastBytes)
	size := first
	if other.bulk {
		size += w.surely(other)
	}
	size = min(size, wants, bufferBytes)
	n, err := recv(leg.fd, w.buffer[:size])
	if n < size {
		if n > 0 {
			leg.readable = leg.hungUp
			other.bulk = n >= first
		}
		return n, err
	}
	if other.bulk {
		return n, nil
	}
	more := min(w.surely(other), wants-n, bufferBytes-n)
	if more < fewBytes {
		return n, nil
	}
	other.bulk = true
	m, err := recv(leg.fd, w.buffer[n:n+more])
	if 0 < m && m < more {
		leg.readable = leg.hungUp
	}
	// The next read finds an end again, but not an error.
	leg.failed = err != nil && !errors.Is(err, unix.EAGAIN)
	return n + m, nil
}
