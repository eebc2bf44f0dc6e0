// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
)

// A driver that does not wait for a socket says with Kept how much of a batch it
// took, and goes on with Rest when it takes more.

// Kept says that the socket of a side took the first n bytes of what Take, or
// Rest, returned, and takes no more for now. What is left is copied, so the
// buffer of the Receive that it came in may be used again; Rest returns it. The
// side still waits for its Wrote, which then counts only what Rest returned.
func (c *Conn) Kept(to Side, n int) {
	out := &c.legs[to].out
	if !out.taken {
		return
	}
	out.written += uint64(n)
	n += int(out.skip)
	done := n
	if to == Upstream {
		done = c.handedInPart(n)
		c.account()
	} else {
		c.reportWritten()
	}
	out.skip = uint8(n - done) // less than a control frame has
	if out.kept {
		// It is ours already.
		out.batch.pieces = drop(out.batch.pieces, done)
		return
	}
	left := -done
	for _, b := range out.ready() {
		left += len(b)
	}
	rest := make([]byte, 0, left)
	for _, b := range drop(out.ready(), done) {
		rest = append(rest, b...)
	}
	out.clearReady() // The list may have grown long.
	out.push(rest)
	out.kept = true
}

// Rest returns what is left to be written of a batch since Kept; nil where no
// batch of that side waits.
func (c *Conn) Rest(to Side) [][]byte {
	out := &c.legs[to].out
	if !out.taken || !out.kept {
		return nil
	}
	if out.skip == 0 {
		return out.ready()
	}
	return drop(slices.Clone(out.ready()), int(out.skip))
}

// drop drops the first n bytes of a batch, in place.
func drop(batch [][]byte, n int) [][]byte {
	for len(batch) > 0 && n >= len(batch[0]) {
		n -= len(batch[0])
		batch = batch[1:]
	}
	if n > 0 {
		batch[0] = batch[0][n:]
	}
	return batch
}

// handedInPart goes through the batch of which the first n bytes were handed over,
// and says how many of its bytes are no longer needed to know what the others are:
// n, or less where that is within a frame's header or a control frame.
func (c *Conn) handedInPart(n int) int {
	h := c.hold
	if h != nil && h.replaying {
		return n
	}
	batch := c.legs[Upstream].out.ready()
	first := batch[0]
	if len(batch) > 1 {
		first = slices.Concat(batch...)
	}
	start := c.handed.start()
	done, ends, end, at := start.until(first, n)
	c.handed.delivered += uint64(ends)
	if ends > 0 {
		c.healable()
	}
	if end > 0 {
		start = scan{}
	}
	switch {
	case c.handed.unhealable:
	case c.retains():
		rest := start.data(first[end:done])
		h.partial = append(h.partial, rest...)
		if len(h.partial) > c.settings.BufferBytes || c.exceeds(len(rest)) {
			c.forgetPartial()
		}
	case end < done && (at.left > 0 || len(start.data(first[end:done])) > 0):
		c.forgetPartial() // There was more than control frames.
	}
	c.handed.startAt(at)
	if h != nil && c.settings.AutoReconnect {
		h.mark(c.legs[Upstream].out.written, c.handed.delivered)
	}
	return done
}
