// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// Lossage says how a leg was lost.
type Lossage uint8

// How a leg was lost.
const (
	// EndOfStream: FIN without a close frame.
	EndOfStream Lossage = iota
	// BrokenSocket: a reset, or another error of the socket.
	BrokenSocket
	// Silence: no sign of life for LostTimeout.
	Silence
)

func (l Lossage) String() string {
	return [...]string{"ended without a close frame", "connection reset", "silent for too long"}[l]
}

// Lost says that a leg's socket has ended, or is to be given up. It is called by
// the reader of the leg, when everything that came was received.
func (c *Conn) Lost(now Instant, side Side, how Lossage) {
	leg := &c.legs[side]
	if leg.gone || c.phase == Done {
		return
	}
	if how == EndOfStream && leg.out.broken {
		how = BrokenSocket // The failed write had the error that the reader no longer gets.
	}
	if side == Upstream {
		c.detach()
	}
	leg.gone = true
	leg.out.dropQueue()
	if side == Client && how == Silence {
		c.effects.reset[side] = true
	}
	other := side.Other()
	switch {
	case c.phase == Closing:
		// The one that began the closing may wait for an answer that can no longer
		// come.
		if c.legs[other].in.ended && !c.legs[other].out.mid {
			c.enqueue(other, wire.Close, wire.AppendClose(nil, c.answerCode(), ""))
		}
	case side == Client:
		c.begin(now, End{By: ByNetwork, Cause: CauseClientLost, Code: wire.CloseAbnormal, Reason: "client " + how.String()}, closeGrace)
		c.enqueue(Upstream, wire.Close, wire.AppendClose(nil, wire.CloseGoingAway, "client lost"))
	case c.mayHold():
		c.startHold(now, nil)
		return
	default:
		c.upstreamLost(now, "upstream "+how.String())
	}
	c.settle()
}

// detach asks the driver to give the upstream's socket up.
func (c *Conn) detach() {
	c.retainUnwritten()
	c.account()
	c.effects.detach = true
	if c.hold != nil {
		c.hold.detached = c.legs[Upstream].out.written
	}
}

// Detached is the driver's answer to Detach: unacked is the number of bytes that
// the kernel had taken for the upstream and the upstream had not acknowledged
// (SIOCOUTQ).
func (c *Conn) Detached(unacked int) {
	if h := c.hold; h != nil {
		h.possiblyLost += h.amongLast(h.detached, unacked, c.handed.delivered)
	}
}

// answerCode is the code with which a close frame is answered in the name of a
// side that is gone: the same one.
func (c *Conn) answerCode() int {
	if c.ending.Code == wire.CloseAbnormal {
		return wire.CloseNoStatus
	}
	return c.ending.Code
}

// upstreamLost closes the client because its upstream is lost for good. 1012 tells
// it that another connection is likely to succeed.
func (c *Conn) upstreamLost(now Instant, reason string) {
	c.begin(now, End{By: ByNetwork, Cause: CauseUpstreamLost, Code: wire.CloseServiceRestart, Reason: reason}, closeGrace)
	c.enqueue(Client, wire.Close, wire.AppendClose(nil, wire.CloseServiceRestart, clip(reason)))
}
