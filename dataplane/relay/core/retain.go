// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// retained is what is kept of the client's messages, so that each is handed over
// whole and once: what waits for an upstream, and what was handed over in part.
// Control frames are never kept: they were meant for the upstream that is gone.
type retained struct {
	// start is where the client's frames stood when the batch that is being
	// written began.
	start scan
	// partial holds the frames of the message that was handed over in part.
	partial []byte
	// unhealable says that this message is not in partial: it is larger than the
	// buffer, or it began while nothing was kept.
	unhealable bool
	// buffer holds what was not handed over, from the start of a message on.
	buffer []byte
	// delivered counts the messages that were handed over whole.
	delivered uint64
	marks     []mark
	// detached is what the upstream's socket had taken when it was given up.
	detached uint64

	// replay holds the first messages, collected the frames so far of the next one,
	// while it is collecting.
	replay       [][]byte
	collecting   bool
	collected    []byte
	replayBytes  int
	replayFailed bool
	// replayDue says that they are to be said to the new upstream; replaying that
	// they are being written.
	replayDue, replaying bool

	possiblyLost uint64
}

// scan is a place in a stream of frames.
type scan struct {
	left uint64 // to come of the payload of a frame
	fin  bool   // whether that frame ends its message
}

// after goes over b, which begins at s with the first n bytes handed over, and
// returns how many messages end within n, and the data frames behind the last of
// those ends.
func (s scan) after(b []byte, n int) (ends int, rest []byte) {
	for pos := 0; pos < len(b); {
		begin := pos
		if s.left == 0 {
			h, size, err := wire.ParseHeader(b[pos:])
			if err != nil {
				return ends, rest // cannot be: only whole, checked headers are passed on
			}
			pos += size
			if h.Opcode.Control() {
				pos += int(h.Length)
				continue
			}
			s = scan{left: h.Length, fin: h.Fin}
		}
		payload := min(s.left, uint64(len(b)-pos))
		pos += int(payload)
		s.left -= payload
		rest = append(rest, b[begin:pos]...)
		if s.left == 0 && s.fin && pos <= n {
			ends++
			rest = rest[:0]
		}
	}
	return ends, rest
}

// beginRetaining is called when autoReconnect is switched on. How many of the
// bytes so far carried which message was not noted; from here on it is.
func (c *Conn) beginRetaining() {
	h := &c.hold
	var first mark
	if len(h.marks) > 0 {
		first = h.marks[0]
	}
	h.marks = []mark{first, {c.legs[Upstream].out.written, h.delivered}}
}

// wrote goes through the batch of which the first n bytes were handed over.
func (h *retained) wrote(c *Conn, n int, failed bool) {
	if h.replaying {
		h.replaying = false
		h.replayDue = failed
		return
	}
	in := &c.legs[Client].in
	up := &c.legs[Upstream]
	before := h.delivered
	switch all := !failed && len(h.buffer) == 0; {
	case all && !in.midMessage():
		h.partial, h.unhealable, h.delivered = nil, false, in.messages
	case all && !c.retains():
		h.partial, h.unhealable, h.delivered = nil, true, in.messages
	case failed && !c.retains():
		h.forget()
	default:
		h.keepRest(c, n, failed)
	}
	if len(h.buffer) == 0 {
		h.start = scan{left: in.left, fin: in.fin}
	}
	if up.gone {
		// What the socket took in its last moment was never accounted for.
		h.possiblyLost += h.delivered - before
		return
	}
	if c.settings.AutoReconnect {
		h.mark(up.out.written)
	}
}

// keepRest keeps what the batch leaves to be handed over.
func (h *retained) keepRest(c *Conn, n int, failed bool) {
	ready := c.legs[Upstream].out.ready
	var batch []byte
	if len(ready) == 1 {
		batch = ready[0]
	} else {
		for _, b := range ready {
			batch = append(batch, b...)
		}
	}
	if !failed {
		n = len(batch)
	}
	ends, rest := h.start.after(batch, n)
	h.delivered += uint64(ends)
	if ends > 0 {
		h.partial, h.unhealable = nil, false
	}
	if h.unhealable {
		return
	}
	h.partial = append(h.partial, rest...)
	switch {
	case failed || c.legs[Upstream].gone:
		h.buffer = append(h.partial, h.buffer...)
		h.partial = nil
	case len(h.partial) > c.settings.BufferBytes:
		h.partial, h.unhealable = nil, true
	}
}

// forget is called when something that the client sent was not kept: the loss of
// this upstream cannot be healed any more.
func (h *retained) forget() {
	h.partial, h.buffer, h.unhealable = nil, nil, true
}

// retainUnwritten keeps, of an upstream that is given up, what was made ready and
// not taken, and the message that was handed over in part. Where a Take waits for
// its Wrote, that does it.
func (c *Conn) retainUnwritten() {
	out := &c.legs[Upstream].out
	if out.taken {
		return
	}
	c.hold.wrote(c, 0, true)
	clear(out.ready)
	out.ready = out.ready[:0]
}

// due says whether something that was kept is to be written to the new upstream,
// before anything else is.
func (h *retained) due(c *Conn) bool {
	up := &c.legs[Upstream]
	return !up.gone && !up.out.broken && !up.out.closeSent && (h.replays(c) || len(h.buffer) > 0)
}

// replays says whether the new upstream is to be told the first messages.
func (h *retained) replays(c *Conn) bool { return h.replayDue && h.replayCount(c) > 0 }

// makeReady makes the next part of what was kept ready: first what is said again,
// then what was not handed over.
func (h *retained) makeReady(c *Conn) {
	out := &c.legs[Upstream].out
	if len(out.ready) > 0 || !h.due(c) {
		return
	}
	out.kept = true // It is ours, not in a driver's buffer.
	if h.replays(c) {
		h.replaying = true
		out.ready = append(out.ready, h.replay[:h.replayCount(c)]...)
		return
	}
	out.ready = append(out.ready, h.buffer)
	h.buffer = nil
	h.start = scan{}
	out.mid = c.legs[Client].in.left > 0
}

// attached starts over for a new upstream.
func (h *retained) attached(c *Conn) {
	h.partial, h.unhealable = nil, false
	h.start = scan{}
	h.replaying = false
	h.replayDue = h.replayCount(c) > 0
	h.marks = []mark{{0, h.delivered}}
}
