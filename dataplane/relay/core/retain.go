// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"math"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// handed is how far the handing over of the client's messages to the upstream has
// come. It is known of every connection, because autoReconnect may be switched on
// at any time.
type handed struct {
	// delivered counts the messages that were handed over whole.
	delivered uint64
	// left and fin are where the client's frames stood when the batch that is being
	// written began; see scan.
	left uint64
	fin  bool
	// unhealable says that of the message that was handed over in part something was
	// not kept: it is larger than the buffer, or it began while nothing was kept.
	unhealable bool
}

func (h *handed) start() scan { return scan{left: h.left, fin: h.fin} }

func (h *handed) startAt(s scan) { h.left, h.fin = s.left, s.fin }

// retained is what is kept of the client's messages, so that each is handed over
// whole and once: what waits for an upstream, and what was handed over in part.
// Control frames are never kept: they were meant for the upstream that is gone.
type retained struct {
	// partial holds the frames of the message that was handed over in part.
	partial []byte
	// buffer holds what was not handed over, from the start of a message on.
	buffer []byte
	marks  []mark
	// detached is what the upstream's socket had taken when it was given up.
	detached uint64

	// replay holds the first messages, collected the frames so far of the next one,
	// while it is collecting.
	replay     [][]byte
	collected  []byte
	replaySize int32 // of all of replay, in bytes
	// writing is the size of what was in buffer and is being written.
	writing int32
	// charged is what the budget knows.
	charged    int32
	collecting bool
	// replayFailed says that a message to say again was not kept: it was too large,
	// or the budget of all connections was exhausted, then also exhausted.
	replayFailed, exhausted bool
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

// until goes over the first n bytes of b, which begins at s, but not into a header
// or a control frame that does not end there. It returns how far it came, the number
// of messages that end on the way and where the last of them does, and where the
// frames stand then.
func (s scan) until(b []byte, n int) (done, ends, end int, at scan) {
	for done < n {
		if s.left == 0 {
			if bytes, messages := skim(b[done:n], anywhere, math.MaxUint64); messages > 0 {
				done += bytes
				ends += int(messages)
				end = done
				continue
			}
			h, size, err := wire.ParseHeader(b[done:])
			if err == nil && h.Opcode.Control() {
				size += int(h.Length)
			}
			if err != nil || done+size > n {
				break
			}
			done += size
			if h.Opcode.Control() {
				continue
			}
			s = scan{left: h.Length, fin: h.Fin}
		}
		payload := min(s.left, uint64(n-done))
		done += int(payload)
		s.left -= payload
		if s.left == 0 && s.fin {
			ends++
			end = done
		}
	}
	return done, ends, end, s
}

// data returns a copy of b, which begins at s, without its control frames.
func (s scan) data(b []byte) (data []byte) {
	for pos := 0; pos < len(b); {
		begin := pos
		if s.left == 0 {
			h, size, err := wire.ParseHeader(b[pos:])
			if err != nil {
				break // cannot be: only whole, checked headers are passed on
			}
			pos += size
			if h.Opcode.Control() {
				pos += int(h.Length)
				continue
			}
			s.left = h.Length
		}
		payload := min(s.left, uint64(len(b)-pos))
		pos += int(payload)
		s.left -= payload
		data = append(data, b[begin:pos]...)
	}
	return data
}

// retainAsSet makes sure that there is a hold where the settings want one.
func (c *Conn) retainAsSet() {
	if c.hold == nil && (c.settings.AutoReconnect || c.settings.ReplayMessages > 0) {
		c.hold = &hold{}
	}
}

// beginRetaining is called when autoReconnect is switched on. How many of the
// bytes so far carried which message was not noted; from here on it is.
func (c *Conn) beginRetaining() {
	h := c.hold
	var first mark
	if len(h.marks) > 0 {
		first = h.marks[0]
	}
	h.marks = []mark{first, {c.legs[Upstream].out.written, c.handed.delivered}}
}

// handedOver goes through the batch of which the first n bytes were handed over.
func (c *Conn) handedOver(n int, failed bool) {
	h, in, up := c.hold, &c.legs[Client].in, &c.legs[Upstream]
	if h != nil && h.replaying {
		h.replaying = false
		h.replayDue = failed
		return
	}
	before := c.handed.delivered
	switch all := !failed && !c.buffered(); {
	case all && up.out.closeSent:
		c.keepRest(n, failed) // Messages that came since were dropped.
	case all && !in.midMessage():
		c.handed.delivered = in.messages
		c.healable()
	case all && !c.retains():
		c.handed.delivered = in.messages
		c.forgetPartial()
	case failed && !c.retains():
		c.keepRest(n, failed) // for what was handed over whole
		c.forget()
	default:
		c.keepRest(n, failed)
	}
	if !c.buffered() {
		c.handed.startAt(scan{left: in.left, fin: in.fin})
	}
	switch {
	case h == nil:
	case up.gone:
		// What the socket took in its last moment was never accounted for.
		h.possiblyLost += c.handed.delivered - before
	case c.settings.AutoReconnect:
		h.mark(up.out.written, c.handed.delivered)
	}
}

// buffered says that something waits for an upstream.
func (c *Conn) buffered() bool { return c.hold != nil && len(c.hold.buffer) > 0 }

// keepRest keeps what the batch leaves to be handed over.
func (c *Conn) keepRest(n int, failed bool) {
	h, ready := c.hold, c.legs[Upstream].out.ready()
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
	start := c.handed.start()
	_, ends, end, _ := start.until(batch, n)
	c.handed.delivered += uint64(ends)
	if ends > 0 {
		c.healable()
	}
	switch {
	case c.handed.unhealable:
		return
	case h == nil:
		// A connection without one has nothing to heal.
		c.forgetPartial()
		return
	}
	if end > 0 {
		start = scan{}
	}
	rest := start.data(batch[end:])
	h.partial = append(h.partial, rest...)
	switch {
	case failed || c.legs[Upstream].gone:
		h.buffer = append(h.partial, h.buffer...)
		h.partial = nil
	case len(h.partial) > c.settings.BufferBytes || c.exceeds(len(rest)):
		c.forgetPartial()
	}
}

// exceeds says whether the budget has no room for n bytes that were kept in the
// middle of a message. Unlike a client that is held, this one cannot wait: its
// upstream is there.
func (c *Conn) exceeds(n int) bool { return n > 0 && n > c.settings.Budget.left() }

// healable says that no message was handed over in part.
func (c *Conn) healable() {
	c.handed.unhealable = false
	if c.hold != nil {
		c.hold.partial = nil
	}
}

// forgetPartial is called when the message that was handed over in part is not kept
// or not any more.
func (c *Conn) forgetPartial() {
	c.handed.unhealable = true
	if c.hold != nil {
		c.hold.partial = nil
	}
}

// forget is called when something that the client sent was not kept: the loss of
// this upstream cannot be healed any more.
func (c *Conn) forget() {
	c.forgetPartial()
	if c.hold != nil {
		c.hold.buffer = nil
	}
	c.account()
}

// retainUnwritten keeps, of an upstream that is given up, what was made ready and
// not taken, and the message that was handed over in part. Where a Take waits for
// its Wrote, that does it.
func (c *Conn) retainUnwritten() {
	out := &c.legs[Upstream].out
	if out.taken {
		return
	}
	c.handedOver(0, true)
	out.clearReady()
}

// due says whether something that was kept is to be written to the new upstream,
// before anything else is.
func (c *Conn) due() bool {
	up := &c.legs[Upstream]
	return c.hold != nil && !up.gone && !up.out.broken && !up.out.closeSent && (c.replays() || len(c.hold.buffer) > 0)
}

// replays says whether the new upstream is to be told the first messages.
func (c *Conn) replays() bool { return c.hold.replayDue && c.replayCount() > 0 }

// makeReady makes the next part of what was kept ready: first what is said again,
// then what was not handed over.
func (c *Conn) makeReady() {
	h, out := c.hold, &c.legs[Upstream].out
	if len(out.ready()) > 0 || !c.due() {
		return
	}
	out.kept = true // It is ours, not in a driver's buffer.
	if c.replays() {
		h.replaying = true
		out.push(h.replay[:c.replayCount()]...)
		return
	}
	out.push(h.buffer)
	h.writing = int32(len(h.buffer))
	h.buffer = nil
	c.handed.startAt(scan{})
	out.mid = c.legs[Client].in.left > 0
}

// startOver starts over for a new upstream.
func (c *Conn) startOver() {
	h := c.hold
	c.healable()
	c.handed.startAt(scan{})
	h.replaying = false
	h.replayDue = c.replayCount() > 0
	h.marks = []mark{{0, c.handed.delivered}}
}
