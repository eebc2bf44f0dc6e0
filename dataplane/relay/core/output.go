// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import "github.com/wsproxy/wsproxy/dataplane/relay/wire"

// outbound is what is to be written to a side.
type outbound struct {
	// batch is to be written as it is; nil where there is nothing.
	batch *batch
	// queue holds what is ours and not the peer's; nil where there is nothing.
	queue *queue
	// written counts the bytes that the socket took.
	written uint64
	// mid says that what was made ready ends within a frame.
	mid bool
	// taken says that a Take waits for its Wrote; kept that what is left of it is in
	// memory of ours, its first skip bytes having been written.
	taken, kept bool
	skip        uint8
	// broken says that a write failed: nothing more is written. The leg is lost
	// only when its reader says so, because a close frame may still be read.
	broken bool
	// closeQueued and closeSent say that a close frame is in queue, or has been
	// made ready; nothing may follow it.
	closeQueued, closeSent bool
	// pingQueued says that the ping of ours has not been written yet.
	pingQueued bool
}

// queue is what is ours and not the peer's.
type queue struct {
	// frames are control frames, which wait for the end of a frame.
	frames []byte
	// pong is one more than where the pong at the end begins; 0 where the last frame
	// is none.
	pong int
	// sends are messages of ours for the client; nil where there are none.
	sends *sends
}

// pass passes bytes on that came from a side: to the other side, or into the
// hold, or, where the other side may not be told any more, nowhere.
func (c *Conn) pass(from Side, p []byte) {
	if len(p) == 0 {
		return
	}
	to := from.Other()
	out := &c.legs[to].out
	if from == Client {
		c.collect(p)
	}
	switch {
	case out.closeSent:
	case from == Client && c.holding():
		c.hold.buffer = append(c.hold.buffer, p...)
		c.account()
	case c.legs[to].gone || out.broken:
		if from == Client {
			c.forget()
		}
	default:
		out.add(p)
		out.mid = c.legs[from].in.left > 0
	}
}

// add makes bytes ready. What follows directly on the last ones in the buffer that
// both came in, as forwarded frames do, becomes one piece with them: a flood of
// small frames would otherwise take 24 bytes of list for each, and a system call
// for every thousand.
func (out *outbound) add(p []byte) {
	if n := len(out.ready()); n > 0 && len(p) > 0 {
		last := out.batch.pieces[n-1]
		if end := len(last); end < cap(last) && &last[:end+1][end] == &p[0] {
			out.batch.pieces[n-1] = last[:end+len(p)]
			return
		}
	}
	out.push(p)
}

// passControl passes a whole control frame on, if the other side is there.
func (c *Conn) passControl(from Side, frame []byte) {
	to := from.Other()
	out := &c.legs[to].out
	if c.legs[to].gone || out.broken || out.closeSent || from == Client && c.holding() {
		return
	}
	out.add(frame)
}

// enqueue puts a control frame of ours in line for a side.
func (c *Conn) enqueue(to Side, op wire.Opcode, payload []byte) {
	leg := &c.legs[to]
	if leg.gone || leg.out.broken || leg.out.closeSent || leg.out.closeQueued {
		return
	}
	var key *[4]byte
	if to == Upstream {
		key = c.maskingKey()
	}
	if leg.out.queue == nil {
		leg.out.queue = &queue{}
	}
	q := leg.out.queue
	if op != wire.Pong {
		q.pong = 0
	} else {
		if q.pong > 0 {
			// Only the latest ping has to be answered (RFC 6455 section 5.5.3). Without
			// this, a peer that pings and does not read would fill our memory.
			q.frames = q.frames[:q.pong-1]
		}
		q.pong = len(q.frames) + 1
	}
	q.frames = wire.AppendFrame(q.frames, op, payload, key)
	leg.out.closeQueued = op == wire.Close
	c.inject(to)
}

// inject makes the frames of ours ready, if no frame of the peer's is under way
// and nothing that was kept is to be written first; and the messages of ours, if
// there is no message of the peer's under way either.
func (c *Conn) inject(to Side) {
	out := &c.legs[to].out
	if out.queue == nil || out.mid || out.taken || to == Upstream && c.due() {
		return
	}
	if q := out.queue; len(q.frames) > 0 {
		out.push(q.frames)
		q.frames, q.pong = nil, 0
	}
	if out.closeQueued {
		out.closeQueued, out.closeSent = false, true
	}
	if s := out.queue.sends; s != nil && !c.legs[Upstream].in.midMessage() {
		s.inject(out)
	}
	out.dropEmptyQueue()
}

// dropEmptyQueue keeps no memory for nothing.
func (out *outbound) dropEmptyQueue() {
	if len(out.queue.frames) == 0 && out.queue.sends == nil {
		out.queue = nil
	}
}

// dropQueue drops the control frames of ours, which can no longer be written.
func (out *outbound) dropQueue() {
	out.closeQueued = false
	if out.queue != nil {
		out.queue.frames, out.queue.pong = nil, 0
		out.dropEmptyQueue()
	}
}

// maskingKey returns a fresh one for a frame of ours to the upstream.
func (c *Conn) maskingKey() *[4]byte {
	r := c.settings.Random()
	return &[4]byte{byte(r), byte(r >> 8), byte(r >> 16), byte(r >> 24)}
}

// Pending says whether there is something to be written to a side.
func (c *Conn) Pending(to Side) bool {
	leg := &c.legs[to]
	if leg.gone || leg.out.broken || leg.out.taken {
		return false
	}
	return len(leg.out.ready()) > 0 || to == Upstream && c.due()
}

// Take returns what is to be written to a side now, in this order; it is to be
// followed by Wrote, whatever happens. It returns nil where there is nothing.
func (c *Conn) Take(to Side) [][]byte {
	if !c.Pending(to) {
		return nil
	}
	out := &c.legs[to].out
	if to == Upstream {
		c.makeReady()
	}
	out.taken = true
	return out.ready()
}

// Wrote says that the first n bytes of what Take returned were taken by the
// socket. With failed nothing more can be written to it.
func (c *Conn) Wrote(now Instant, to Side, n int, failed bool) {
	leg := &c.legs[to]
	out := &leg.out
	if !out.taken {
		return
	}
	out.taken = false
	out.written += uint64(n)
	if to == Upstream {
		if c.hold != nil && c.hold.writing > 0 {
			c.hold.writing = 0
			c.account() // before something of it is kept again
		}
		c.handedOver(int(out.skip)+n, failed)
		c.account()
	} else {
		c.reportWritten()
	}
	out.clearReady()
	out.kept, out.skip = false, 0
	if failed {
		out.broken = true
		c.effects.rearm = true // for a ping that waited for the socket
		if to == Client {
			c.dropWaiting()
			c.dropReady(Dropped)
		}
		out.dropQueue()
	} else {
		if out.pingQueued && (out.queue == nil || len(out.queue.frames) == 0) {
			out.pingQueued = false
			leg.pingTaken(now)
			c.effects.rearm = true
		}
		c.inject(to)
	}
	c.settle()
}
