// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// closed handles a close frame that came from a side.
func (c *Conn) closed(now Instant, from Side, frame, payload []byte) {
	code, reason, err := wire.ParseClose(payload)
	if err != nil {
		c.violated(now, from, err)
		return
	}
	c.legs[from].in.ended = true
	if c.phase == Closing {
		c.passClose(from, frame, payload)
		c.settle()
		return
	}
	if from == Upstream && heals(code) && c.mayHold() {
		c.startHold(now, payload)
		return
	}
	by, cause := ByClient, CauseClientClose
	if from == Upstream {
		by, cause = ByUpstream, CauseUpstreamClose
	}
	c.begin(now, End{By: by, Cause: cause, Code: code, Reason: reason}, closeGrace)
	c.passClose(from, frame, payload)
	c.settle()
}

// heals says whether a close code of the upstream is one that a reconnect may
// heal: the upstream is going away, failed, restarts or is overloaded. Every
// other code is the application's word to the client.
func heals(code int) bool {
	switch code {
	case wire.CloseGoingAway, wire.CloseInternalError, wire.CloseServiceRestart, wire.CloseTryAgainLater, wire.CloseBadGateway:
		return true
	}
	return false
}

// passClose passes a close frame on; where the other side is gone, the close
// handshake is completed in its name.
func (c *Conn) passClose(from Side, frame, payload []byte) {
	to := from.Other()
	leg := &c.legs[to]
	if leg.gone || leg.out.broken {
		c.enqueue(from, wire.Close, payload)
		return
	}
	if leg.out.closeSent || leg.out.closeQueued {
		return
	}
	if to == Upstream && c.due() {
		// What the client said before goes first.
		if leg.out.queue == nil {
			leg.out.queue = &queue{}
		}
		leg.out.queue.frames = append(leg.out.queue.frames, frame...)
		leg.out.closeQueued = true
		return
	}
	c.inject(to)
	leg.out.push(frame)
	leg.out.closeSent = true
}

// begin begins the closing of the connection.
func (c *Conn) begin(now Instant, end End, grace time.Duration) {
	c.dropWaiting()
	c.phase = Closing
	c.ending = &ending{End: end, by: now.Add(grace)}
	if c.hold != nil {
		c.hold.dialAt = 0
	}
	c.effects.dial = false
	c.effects.rearm = true
}

// closeBoth closes the connection in the proxy's own name, with the same code on
// both sides.
func (c *Conn) closeBoth(now Instant, end End, grace time.Duration) {
	c.begin(now, end, grace)
	payload := wire.AppendClose(nil, end.Code, end.Reason)
	c.enqueue(Client, wire.Close, payload)
	c.enqueue(Upstream, wire.Close, payload)
	c.settle()
}

// fault closes the connection because of what a side did. That side is told its
// fault and nothing more is understood of what it sends; the other side is told
// that its peer is gone.
func (c *Conn) fault(now Instant, from Side, end End) {
	c.legs[from].in.ended = true
	if c.phase != Closing {
		c.begin(now, end, closeGrace)
	}
	c.enqueue(from, wire.Close, wire.AppendClose(nil, end.Code, clip(end.Reason)))
	code := wire.CloseGoingAway
	if from == Upstream {
		code = wire.CloseInternalError
	}
	c.enqueue(from.Other(), wire.Close, wire.AppendClose(nil, code, clip(from.String()+": "+end.Reason)))
	c.settle()
}

// clip cuts a reason of ours, which is ASCII, to what fits in a close frame.
func clip(reason string) string { return reason[:min(len(reason), wire.MaxReason)] }

// Disconnect closes the connection with end.Code and end.Reason on both sides and
// waits up to grace for the answers; 0 is DefaultGrace. It returns false, and does
// nothing, where the connection is closing already. The caller has made sure that
// the code and the reason may stand in a close frame.
func (c *Conn) Disconnect(now Instant, end End, grace time.Duration) bool {
	if c.phase >= Closing {
		return false
	}
	if grace <= 0 {
		grace = DefaultGrace
	}
	c.closeBoth(now, end, grace)
	return true
}

// settle finishes the connection once both sides have been told and have
// answered, or are gone; or once a side cannot be told.
func (c *Conn) settle() {
	if c.phase != Closing {
		return
	}
	if c.settled(Client) && c.settled(Upstream) || c.cutOff(Client) || c.cutOff(Upstream) {
		c.finish()
	}
}

func (c *Conn) settled(side Side) bool {
	leg := &c.legs[side]
	return leg.gone || leg.in.ended && (leg.out.told() || leg.out.broken)
}

// told says that the socket has taken a close frame.
func (out *outbound) told() bool {
	return out.closeSent && !out.taken && len(out.ready()) == 0
}

// cut says that a side is there and was not told that the connection ends.
func (l *leg) cut() bool { return !l.gone && !l.out.broken && !l.out.told() }

// cutOff says that a frame towards a side is under way whose rest will never
// come, so that no close frame can follow.
func (c *Conn) cutOff(side Side) bool {
	return !c.legs[side].gone && c.legs[side].out.mid && c.legs[side.Other()].gone
}

// giveUpClosing is called when the grace is over. Where one side has closed as it
// should and the other has not answered, the other is given up and the one is
// answered in its name; else both are done.
func (c *Conn) giveUpClosing(now Instant) {
	for side := range Side(len(c.legs)) {
		leg, other := &c.legs[side], &c.legs[side.Other()]
		if !leg.gone && !other.gone && !other.out.broken && other.in.ended && !other.out.mid && !other.out.closeSent && !other.out.closeQueued {
			c.ending.by = now.Add(answerGrace)
			c.ending.Cut = side == Client && leg.cut()
			c.Lost(now, side, Silence)
			return
		}
	}
	c.finish()
}

// finish ends the connection, whether the peers have answered or not.
func (c *Conn) finish() {
	c.phase = Done
	if c.legs[Client].out.taken {
		c.dropReady(InDoubt)
	} else {
		c.dropReady(Dropped)
	}
	c.ending.Cut = c.ending.Cut || c.legs[Client].cut()
	for side := range Side(len(c.legs)) {
		if !c.legs[side].gone && !c.settled(side) {
			c.effects.reset[side] = true
		}
	}
	c.effects.dial = false
	c.effects.rearm = true
	c.account()
}

// Abort ends the connection at once, without close frames.
func (c *Conn) Abort(now Instant) {
	if c.phase == Done {
		return
	}
	if c.phase != Closing {
		c.begin(now, End{By: ByProxy, Cause: CauseDrained, Code: wire.CloseAbnormal, Reason: "the proxy was stopped"}, 0)
	}
	c.finish()
}
