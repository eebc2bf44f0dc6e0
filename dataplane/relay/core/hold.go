// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// hold is what lets a client outlive its upstream. A connection has one from the
// moment that a setting asks for it: for autoReconnect, or for messages to be said
// again.
type hold struct {
	retained

	// dialAt is when the next attempt is due; 0 while none is, or one is under way.
	dialAt Instant
	// failed counts the attempts of this outage that have failed, failedAt is when
	// the last one did.
	failed   int
	failedAt Instant
	// attachedAt is when the upstream was replaced last; 0 where it is the first.
	attachedAt Instant
	reconnects int

	// farewell is what Effects returns with Detach.
	farewell []byte
}

// Why a connection is not reconnectable, beyond what the handshake says.
const (
	// NotReplayTooLarge: the messages to replay do not fit in the buffer.
	NotReplayTooLarge = "ReplayTooLarge"
	// NotBudget: there was no room for them, or for the handshake, in the budget of
	// all connections.
	NotBudget = "BudgetExhausted"
	// NotReplayUnknown: replayMessages was raised after the messages had passed.
	NotReplayUnknown = "ReplayUnknown"
)

// Reconnectable says whether the connection could be moved to another upstream,
// whatever the setting says; and where it could not, why.
func (c *Conn) Reconnectable() (bool, string) {
	why := c.notReconnectable()
	if why == "" {
		why = c.replayProblem()
	}
	return why == "", why
}

// retains says whether what the client sends has to be kept until it is handed
// over whole.
func (c *Conn) retains() bool {
	ok, _ := c.Reconnectable()
	return ok && c.settings.AutoReconnect && c.phase < Closing
}

// mayHold says whether the loss of the upstream, now, can be healed. It cannot
// within a message towards the client, whose rest is lost; nor within a message
// from the client of which a part was handed over and not kept.
func (c *Conn) mayHold() bool {
	return c.phase == Open && c.retains() &&
		!c.legs[Upstream].in.midMessage() && !c.legs[Client].out.mid &&
		!c.handed.unhealable
}

// holding says that what comes from the client goes into the buffer: there is no
// upstream, or the new one has not been told yet what the old one missed.
func (c *Conn) holding() bool {
	up := &c.legs[Upstream]
	switch c.phase {
	case Reconnecting:
		return true
	case Open:
		return up.out.broken && c.retains() || c.due()
	case Closing:
		return c.due()
	}
	return false
}

// Wants says whether the driver shall read from a side, and how much at most.
func (c *Conn) Wants(side Side, atMost int) int {
	switch {
	case c.legs[side].gone || c.phase == Done:
		return 0
	case side == Client && c.holding():
		if !c.legs[Upstream].gone && !c.legs[Upstream].out.broken {
			return 0 // The buffer is written first, so that it does not grow.
		}
		return max(0, min(atMost, c.settings.BufferBytes-len(c.hold.buffer), c.settings.Budget.left()))
	}
	return atMost
}

// healedAfter is how long a new upstream has to last, at least, for the next loss
// to be another outage. Where there is no pause between attempts, it keeps an
// upstream that accepts and leaves at once from being dialed for ever.
const healedAfter = time.Second

// startHold gives up the upstream and begins to look for another one. farewell is
// the payload of the close frame that the upstream sent, nil where it sent none.
func (c *Conn) startHold(now Instant, farewell []byte) {
	up := &c.legs[Upstream]
	between := c.handed.left == 0 && !up.out.taken && !up.out.broken
	c.detach()
	if farewell != nil && between {
		c.hold.farewell = wire.AppendFrame(nil, wire.Close, farewell, c.maskingKey())
	}
	c.forgetPings()
	up.gone = true
	if !up.out.taken {
		up.out = outbound{}
	}
	c.phase = Reconnecting
	c.effects.rearm = true

	h := c.hold
	// An upstream that is lost as soon as it is there has not healed anything: the
	// pause is kept and the attempts go on counting.
	if h.attachedAt != 0 && now.Sub(h.attachedAt) < max(c.settings.ReconnectDelay, healedAfter) {
		c.DialFailed(now, false, "lost again at once")
		return
	}
	h.failed = 0
	h.dialAt = now
	if c.settings.ReconnectAttempts == 0 {
		c.spent(now)
		return
	}
	c.tickHold(now)
}

// tickHold asks for the next attempt when it is due.
func (c *Conn) tickHold(now Instant) {
	if c.phase == Reconnecting && c.hold.dialAt != 0 && now >= c.hold.dialAt {
		c.hold.dialAt = 0
		c.effects.dial = true
	}
}

// DialFailed says that an attempt to reach a new upstream failed. final says that
// the upstream refused (401, 403, 404 or 410), so that no other attempt is made.
func (c *Conn) DialFailed(now Instant, final bool, reason string) {
	if c.phase != Reconnecting {
		return
	}
	if final {
		c.begin(now, End{By: ByUpstream, Cause: CauseReconnectRefused, Code: wire.ClosePolicyViolation, Reason: reason}, closeGrace)
		c.enqueue(Client, wire.Close, wire.AppendClose(nil, wire.ClosePolicyViolation, "upstream refused the reconnect"))
		c.settle()
		return
	}
	c.hold.failed++
	c.hold.failedAt = now
	if c.hold.failed >= c.settings.ReconnectAttempts {
		c.spent(now)
		return
	}
	c.hold.dialAt = now.Add(jittered(c.settings.ReconnectDelay, c.settings.Random()))
	c.effects.rearm = true
}

// spent closes the client because all attempts have failed.
func (c *Conn) spent(now Instant) {
	const reason = "upstream did not come back"
	c.begin(now, End{By: ByNetwork, Cause: CauseUpstreamLost, Code: wire.CloseTryAgainLater, Reason: reason}, closeGrace)
	c.enqueue(Client, wire.Close, wire.AppendClose(nil, wire.CloseTryAgainLater, reason))
	c.settle()
}

// Attached says that a new upstream is there, with the same subprotocol and
// compatible extensions. It returns false where it is no longer wanted. The
// driver has made sure that no write to the old one is under way.
func (c *Conn) Attached(now Instant) bool {
	if c.phase != Reconnecting {
		return false
	}
	up := &c.legs[Upstream]
	up.in.restart()
	up.out = outbound{}
	up.keepalive = up.restarted(now)
	c.hold.reconnects++
	c.hold.attachedAt = now
	c.hold.dialAt = 0
	c.phase = Open
	c.startOver()
	c.account()
	c.effects.rearm = true
	return true
}

// applyHold puts changed settings in force on a client that is held.
func (c *Conn) applyHold(now Instant, before *Settings) {
	if c.phase != Reconnecting {
		return
	}
	h := c.hold
	switch s := c.settings; {
	case !s.AutoReconnect:
		c.upstreamLost(now, "upstream lost, and autoReconnect was switched off")
		c.settle()
	case !c.retains():
		c.upstreamLost(now, "upstream lost, and its first messages cannot be said again")
		c.settle()
	case h.failed >= s.ReconnectAttempts:
		c.spent(now)
	case h.dialAt != 0 && h.failed > 0 && s.ReconnectDelay != before.ReconnectDelay:
		h.dialAt = h.failedAt.Add(jittered(s.ReconnectDelay, c.settings.Random()))
	}
}
