// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"errors"
	"math"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// inbound is what is known of the frames that come from a side.
type inbound struct {
	// part holds a frame header or a control frame that has not come whole; nil
	// where there is none.
	part *part
	// fin says that the frame whose payload is coming ends its message.
	fin bool
	// fragmented says that a message has begun and its last frame has not.
	fragmented bool
	// ended says that a close frame came: what follows it is not looked at (RFC
	// 6455 section 5.5.1).
	ended bool
	// left is what is to come of the current frame's payload, in bytes.
	left uint64
	// size is the payload of the current message so far, in bytes, its announced
	// frames included.
	size uint64
	// messages and bytes count what came.
	messages, bytes uint64
}

// part is the begin of a frame header or of a control frame.
type part struct {
	bytes [wire.MaxControlFrame]byte
	n     uint8
	// size is that of the control frame; 0 while it may be any header.
	size uint8
}

// midMessage says that a message has begun and not ended.
func (in *inbound) midMessage() bool { return in.fragmented || in.left > 0 }

// restart forgets where the frames stood, for a side whose socket is another one
// from now on; what was counted stays.
func (in *inbound) restart() {
	*in = inbound{messages: in.messages, bytes: in.bytes}
}

// Receive takes the bytes p that came from a side. What is to be written is
// returned by the next Take of the other side and may refer to p.
//
// Whole headers and whole control frames only are passed on, never a part of
// one: so a violation never reaches the other side, a pong of ours can be kept
// from it, and what we inject finds its place. Payload is passed on as it comes,
// with its mask, and never copied.
func (c *Conn) Receive(now Instant, from Side, p []byte) {
	leg := &c.legs[from]
	if leg.gone {
		return
	}
	in := &leg.in
	c.active = now
	in.bytes += uint64(len(p))
	if leg.heard(now) {
		c.effects.rearm = true
	}
	// run is where the bytes begin that are passed on as they are, up to i. It goes
	// over as many frames as nothing has to be put between.
	run, i := 0, 0
	for i < len(p) && !in.ended && c.phase != Done {
		switch {
		case in.left > 0:
			n := min(in.left, uint64(len(p)-i))
			i += int(n)
			in.left -= n
			if in.left == 0 {
				run = c.endFrame(from, p, run, i)
			}
			continue
		case in.part != nil:
			n, ok := c.complete(now, from, p[i:])
			if !ok {
				return
			}
			i += n
			run = i
			continue
		}
		if n := c.skim(from, p[i:]); n > 0 {
			i += n
			continue
		}
		h, n, err := wire.ParseHeader(p[i:])
		if errors.Is(err, wire.ErrShort) {
			in.part = &part{}
			in.part.n = uint8(copy(in.part.bytes[:], p[i:]))
			break
		}
		if err == nil {
			err = check(h, from, c.extensions, in.fragmented)
		}
		if err != nil {
			c.pass(from, p[run:i])
			c.violated(now, from, err)
			return
		}
		if h.Opcode.Control() {
			c.pass(from, p[run:i])
			size := n + int(h.Length)
			if len(p)-i < size {
				in.part = &part{size: uint8(size)}
				in.part.n = uint8(copy(in.part.bytes[:], p[i:]))
				return
			}
			c.control(now, from, p[i:i+size], n, h)
			i += size
			run = i
			continue
		}
		if end, over := c.overLimit(now, from, h); over {
			c.pass(from, p[run:i])
			c.fault(now, from, end)
			return
		}
		c.beginFrame(from, h)
		i += n
		if h.Length == 0 {
			run = c.endFrame(from, p, run, i)
		}
	}
	if run < i {
		c.pass(from, p[run:i])
	}
}

// endFrame ends a data frame at p[i], and passes on what has run up to there if
// something has to be done between this frame and the next.
func (c *Conn) endFrame(from Side, p []byte, run, i int) int {
	to := from.Other()
	if c.legs[to].out.queue != nil || from == Client && c.collecting() {
		c.pass(from, p[run:i])
		run = i
	}
	c.frameEnd(from)
	return run
}

// complete goes on with a header or a control frame of which a part came
// earlier, and returns how many bytes of p belong to it. It returns false where
// there is nothing to go on with: p was used up, or the connection is ending.
func (c *Conn) complete(now Instant, from Side, p []byte) (int, bool) {
	in := &c.legs[from].in
	part := in.part
	had := int(part.n)
	if part.size > 0 {
		n := copy(part.bytes[had:part.size], p)
		if part.n += uint8(n); part.n < part.size {
			return n, false
		}
		in.part = nil
		frame := part.bytes[:part.size]
		h, size, _ := wire.ParseHeader(frame) // was parsed before it was kept
		c.control(now, from, frame, size, h)
		return n, true
	}
	got := copy(part.bytes[had:wire.MaxHeader], p)
	h, size, err := wire.ParseHeader(part.bytes[:had+got])
	if errors.Is(err, wire.ErrShort) {
		part.n += uint8(got)
		return got, false
	}
	if err == nil {
		err = check(h, from, c.extensions, in.fragmented)
	}
	if err != nil {
		c.violated(now, from, err)
		return 0, false
	}
	if h.Opcode.Control() {
		// Its payload is collected behind its header by the next round. A control
		// frame without a payload is whole already.
		part.n, part.size = uint8(size), uint8(size+int(h.Length))
		if h.Length == 0 {
			in.part = nil
			c.control(now, from, part.bytes[:size], size, h)
		}
		return size - had, true
	}
	in.part = nil
	if end, over := c.overLimit(now, from, h); over {
		c.fault(now, from, end)
		return 0, false
	}
	c.beginFrame(from, h)
	c.pass(from, part.bytes[:size])
	if h.Length == 0 {
		c.frameEnd(from)
	}
	return size - had, true
}

// check finds what the peer of a side may not send in the place where it stands,
// within a message or not (RFC 6455 sections 5.1, 5.2 and 5.4).
func check(h wire.Header, from Side, extensions, fragmented bool) error {
	switch {
	case h.Masked != (from == Client):
		if from == Client {
			return wire.ProtocolError("unmasked frame from a client")
		}
		return wire.ProtocolError("masked frame from a server")
	case h.RSV != 0 && !extensions:
		return wire.ProtocolError("reserved bits without an extension")
	case h.Opcode == wire.Continuation && !fragmented:
		return wire.ProtocolError("continuation of no message")
	case (h.Opcode == wire.Text || h.Opcode == wire.Binary) && fragmented:
		return wire.ProtocolError("new message within a message")
	}
	return nil
}

// overLimit says whether a data frame goes over a limit, and how the connection
// ends then.
func (c *Conn) overLimit(now Instant, from Side, h wire.Header) (End, bool) {
	in := &c.legs[from].in
	size := h.Length
	if in.fragmented {
		size += in.size
	} else if c.rated(from) && !c.rate.take(now, c.settings.MessagesPerSecond) {
		return End{By: ByProxy, Cause: CauseRateLimited, Code: wire.ClosePolicyViolation, Reason: "too many messages per second"}, true
	}
	if size > c.mostBytes() {
		return End{By: ByProxy, Cause: CauseMessageTooBig, Code: wire.CloseMessageTooBig, Reason: "message too big"}, true
	}
	return End{}, false
}

// rated says that each message of a side is counted for its rate.
func (c *Conn) rated(from Side) bool { return from == Client && c.settings.MessagesPerSecond > 0 }

// mostBytes returns how many bytes of payload a message may have.
func (c *Conn) mostBytes() uint64 {
	if limit := c.settings.MaxMessageBytes; limit > 0 {
		return uint64(limit)
	}
	return math.MaxUint64
}

// beginFrame begins a data frame.
func (c *Conn) beginFrame(from Side, h wire.Header) {
	in := &c.legs[from].in
	if !in.fragmented {
		in.size = 0
		if from == Client {
			c.messageBegin()
		}
	}
	in.size += h.Length
	in.left = h.Length
	in.fin = h.Fin
	in.fragmented = true // until its last frame has ended
}

// frameEnd ends a data frame.
func (c *Conn) frameEnd(from Side) {
	in := &c.legs[from].in
	in.fragmented = !in.fin
	if in.fin {
		in.messages++
		if from == Client {
			c.messageEnd()
		}
	}
	to := from.Other()
	if c.legs[to].out.queue != nil {
		c.legs[to].out.mid = false
		c.inject(to)
	}
}

// violated ends the connection because of a violation of RFC 6455.
func (c *Conn) violated(now Instant, from Side, err error) {
	by := ByClient
	if from == Upstream {
		by = ByUpstream
	}
	c.fault(now, from, End{by, CauseProtocolError, wire.CloseProtocolError, err.Error(), false})
}
