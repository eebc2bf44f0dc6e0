// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"sort"
	"time"
	"unique"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
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
	// Bytes of memory, by default 16 MiB. A change takes 32 bytes, and the end of a
	// connection 72 and its last state, commonly 200 to 300, on top. Of that, more
	// than half is kept once for all who said the same, but everybody is counted as
	// if nobody had: 35,000 connections that came and went.
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

// change is what the history keeps of a Change; changeBytes bytes.
type change struct {
	stamp clock.Stamp
	entry *Entry // One that has ended, once the connection is gone.
	// upstream is the connection's after the change; the zero handle where it has
	// none.
	upstream unique.Handle[string]
	// back is the distance to the change before of the same connection; 0 where
	// there is none.
	back  uint32
	kind  Kind
	phase uint8 // After the change.
	// before is the phase before the change; 0 where there is none.
	before uint8
}

const changeBytes = 32

// block is what memory for changes is taken and given back by.
type block [blockChanges]change

// blockChanges fill 8 KiB, a size of the allocator, with the 8 bytes that it puts
// before what has pointers.
const blockChanges = 255

// history keeps recent changes in the order of their stamps, which ascend. It is
// guarded by the registry's mu. Changes are numbered from 0.
type history struct {
	bounds Bounds
	// blocks hold the changes from number first on, below next.
	blocks      []*block
	first, next uint64
	spare       *block
	// bytes that the changes take.
	bytes int
	// floor: every change with a stamp at or above it is here. 0 until one was
	// dropped.
	floor clock.Stamp
}

func (h *history) len() int { return int(h.next - h.first) } // #nosec G115 -- at most bounds.Changes.

// at returns the change of that number, which must be one that is kept.
func (h *history) at(n uint64) *change {
	return &h.blocks[n/blockChanges-h.first/blockChanges][n%blockChanges]
}

// find returns the number of the first change at or above a stamp.
func (h *history) find(s clock.Stamp) uint64 {
	return h.first + uint64(sort.Search(h.len(), func(i int) bool { return h.at(h.first+uint64(i)).stamp >= s })) // #nosec G115 -- not negative.
}

// append adds a change of the entry, and drops what is too much.
func (h *history) append(c change) {
	if last := c.entry.last; c.kind != Added {
		c.back = uint32(min(h.next-last.number(), 1<<32-1)) // #nosec G115 -- what is further back is not kept.
		c.before = last.phase()
	}
	if i := h.next/blockChanges - h.first/blockChanges; i == uint64(len(h.blocks)) {
		if h.spare == nil {
			h.spare = new(block)
		}
		h.blocks, h.spare = append(h.blocks, h.spare), nil
	}
	h.next++
	*h.at(h.next - 1) = c
	c.entry.last = lastChangeOf(h.next-1, c.phase)
	h.bytes += c.bytes()
	for h.len() > h.bounds.Changes || h.bytes > h.bounds.Bytes {
		h.drop()
	}
	// Not all at once: nobody shall wait for it.
	h.expire(c.stamp, 2)
}

// end appends that the connection of an entry is gone, and puts in its place what
// is left of it, so that the memory of connections is never kept by the history.
func (h *history) end(stamp clock.Stamp, e *Entry, left *Entry, last *dataplanev1alpha1.Connection) {
	for n := e.last.number(); n >= h.first; {
		c := h.at(n)
		c.entry = left
		if c.back == 0 || uint64(c.back) > n {
			break
		}
		n -= uint64(c.back)
	}
	left.last = e.last
	h.append(change{stamp: stamp, entry: left, upstream: upstreamOf(last.GetUpstream()), kind: Deleted, phase: uint8(last.GetPhase())}) // #nosec G115 -- an enum of five.
}

// drop forgets the oldest change.
func (h *history) drop() {
	c := h.at(h.first)
	h.bytes -= c.bytes()
	h.floor = c.stamp + 1
	*c = change{}
	h.first++
	if h.first%blockChanges == 0 {
		h.spare, h.blocks[0] = h.blocks[0], nil
		h.blocks = h.blocks[1:]
	}
}

// expire forgets at most so many changes that are too old at now, and says
// whether there may be more.
func (h *history) expire(now clock.Stamp, atMost int) bool {
	oldest := now - clock.Stamp(h.bounds.Age.Microseconds())
	for range atMost {
		if h.len() == 0 || h.at(h.first).stamp >= oldest {
			return false
		}
		h.drop()
	}
	return true
}

// release gives back memory that is not needed now.
func (h *history) release() {
	h.spare = nil
	if h.len() == 0 {
		h.blocks = nil
	}
}

// bytes is the memory that a change takes, with what is left of a connection that
// is gone. Before that it is the connection's.
func (c *change) bytes() int {
	if left, gone := c.entry.connection.(*ended); gone && c.kind == Deleted {
		return changeBytes + left.bytes()
	}
	return changeBytes
}

// upstreamOf is an upstream's address as a change has it. There are few of them, so
// their texts are not counted.
func upstreamOf(address string) (handle unique.Handle[string]) {
	if address != "" {
		handle = unique.Make(address)
	}
	return handle
}
