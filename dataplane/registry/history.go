// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"time"
	"unique"

	"github.com/wsproxy/wsproxy/api/clock"
)

// Bounds are what the history of a registry may take; 0 is the default. Whatever
// is reached first counts. A reader that is further behind than the history
// reaches has to list again, so bounds that are too tight cost work, and nothing
// else.
type Bounds struct {
	// Changes is a number of changes, by default 131,072: a connection has four in
	// an ordinary life, so that 30,000 that are lost in one moment leave a reader
	// the time to follow.
	Changes int
	// Bytes of memory, by default 16 MiB. A change takes about 6 bytes, and the end of
	// a connection its last state on top, commonly 200 to 300. Of that, more than half
	// is kept once for all who said the same, but everybody is counted as if nobody
	// had: 60,000 connections that came and went.
	Bytes int
	// Age in time of the clock, by default 2 minutes. Those who resume are back
	// sooner: a reflector of client-go waits at most 60 s, and a pod that has
	// started up to 60 s before the version in question is replayed from its
	// start. It is not longer because addresses of clients who have left are not
	// kept without need. What is too old goes within an eighth of it; while wall
	// time is set back, what is there stays.
	Age time.Duration
}

func (b Bounds) complete() Bounds {
	if b.Changes == 0 {
		b.Changes = 1 << 17
	}
	if b.Bytes == 0 {
		b.Bytes = 16 << 20
	}
	if b.Age == 0 {
		b.Age = 2 * time.Minute
	}
	return b
}

// goneBytes is what it takes to find what is left of a connection, at most: 24 bytes in
// a map that is half full, because it has just grown.
const goneBytes = 50

// history keeps recent changes in the order of their stamps, which ascend. It is
// guarded by the registry's mu.
type history struct {
	log
	bounds Bounds
	// gone says where what is left of connections is, by their sequences.
	gone table[uint64, leftPlace]
	// bytes that the changes take.
	bytes int
	// floor: every change with a stamp at or above it is here. 0 until one was
	// dropped.
	floor clock.Stamp
}

// append adds a change, and drops what is too much. Where the left of one that is
// Deleted is in another log, elsewhere says where; the change then has none.
func (h *history) append(c change, elsewhere leftPlace) {
	took, at := h.add(c)
	if c.kind == Deleted {
		if elsewhere.chunk != nil {
			at = elsewhere
		}
		h.gone.set(c.sequence, at)
	}
	h.bytes += took + h.more(c)
	for h.len > h.bounds.Changes || h.bytes > h.bounds.Bytes {
		h.drop()
	}
	// Not all at once: nobody shall wait for it.
	h.expire(c.stamp, 2)
}

// drop forgets the oldest change.
func (h *history) drop() {
	c, took := h.take()
	h.bytes -= took + h.more(c)
	h.floor = c.stamp + 1
	if c.kind == Deleted {
		h.gone.delete(c.sequence)
	}
}

// more is the memory that a change takes beside its place in the log. What others have
// as well, who said the same or remember the same connection, is counted all the same.
func (h *history) more(c change) int {
	if c.kind != Deleted {
		return 0
	}
	n := goneBytes + h.left(c.sequence).texts()
	if c.left.said != (unique.Handle[said]{}) {
		n -= len(c.left.own) // It is in the log.
	}
	return n
}

// expire forgets at most so many changes that are too old at now, and says
// whether there may be more.
func (h *history) expire(now clock.Stamp, atMost int) bool {
	oldest := now - clock.Stamp(h.bounds.Age.Microseconds())
	for range atMost {
		if h.len == 0 || h.first() >= oldest {
			return false
		}
		h.drop()
	}
	return true
}

// clear gives the memory of an empty history back.
func (h *history) clear() { h.log, h.gone = log{}, table[uint64, leftPlace]{} }

// left returns what is left of a connection that is gone, and of which there is a
// change: the last of them says what.
func (h *history) left(sequence uint64) left { return h.gone.of[sequence].read() }
