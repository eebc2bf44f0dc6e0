// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import "time"

// keepalive is what is known of the life of a leg.
//
// A leg is silent as long as no byte comes from it while we read. After half of
// LostTimeout, or up to EarlyShare of that half before, it is sent a ping, after
// all of LostTimeout the leg is lost; but never before a ping had the other half
// to be answered, so a timeout that is lowered on a live connection hits nobody
// who lives.
type keepalive struct {
	// alive is when the leg showed life last. While it is not read from, because
	// what came from it could not be passed on yet, its clock stands still.
	alive  Instant
	paused Instant // since when it is not read from; 0 while it is
	// pinged is the ping of ours that was queued since; nil where there is none.
	pinged *pinged
	// ours is the payload of the last ping of ours: six bytes that are the leg's,
	// by which the pongs of earlier ones are known too, and two that count.
	ours [8]byte
	// theirs is the last ping of the other side that was forwarded to this one and
	// not answered; nil where there is none.
	theirs *forwarded

	// gone says that the socket has ended or is given up: nothing more is read from
	// it or written to it.
	gone bool
	// skipped says that a Tick passed while the leg was paused.
	skipped bool
	// waiting says that the pong to ours may come.
	waiting bool
	// stale says that pongs may come that answer pings of an upstream that is gone;
	// they must not reach the next one. It is over when a later ping is answered.
	stale bool
}

// EarlyShare is the largest part of half of LostTimeout by which a ping comes
// early, so that the many who came, or fell silent, in the same moment are not all
// pinged in the same moment. Early, not late: what is lost is then still known to
// be after LostTimeout, and the answer still has half of that to come.
const EarlyShare = 0.2

// pingAfter is the silence after which a leg is pinged. It is drawn once for both:
// a connection has a pace of its own, so those that ever are in step drift apart,
// and its two legs are mostly pinged in one go, which costs half.
func (c *Conn) pingAfter() time.Duration {
	half := c.settings.LostTimeout / 2
	return half - time.Duration(EarlyShare*float64(half)*float64(c.early)/256)
}

// pinged is a ping that a leg was sent because it was silent.
type pinged struct {
	sent Instant // when the socket took it; 0 while it has not
	// looked is when the peer's kernel was asked about last, while the socket has
	// not taken the ping.
	looked Instant
	// acked is what the peer had acknowledged when the ping was queued. A peer that
	// acknowledges more than the ping is alive: it is receiving something large.
	acked uint64
}

// pingTaken notes that the socket has taken a ping of ours.
func (k *keepalive) pingTaken(now Instant) {
	if k.pinged != nil {
		k.pinged.sent = now
	}
}

// pingWireBytes is more than a ping of ours has on the wire: 14 bytes, and up to
// 29 of a TLS record around it. Its mere acknowledgement comes from the peer's
// kernel and is no sign of life of the peer.
const pingWireBytes = 64

// heard notes a sign of life. It returns true where the next ping may be due
// before what was due so far: the leg was pinged, and was to be lost later than
// half of the timeout from now, or never while the socket had not taken the ping.
func (k *keepalive) heard(now Instant) bool {
	pinged := k.pinged != nil
	k.alive, k.pinged = now, nil
	if k.paused != 0 {
		k.paused = now
	}
	return pinged
}

// restarted returns the keepalive of the leg's next socket: whether the driver
// reads from it does not change with the socket.
func (k *keepalive) restarted(now Instant) keepalive {
	fresh := keepalive{alive: now}
	if k.paused != 0 {
		fresh.paused = now
	}
	return fresh
}

// Pause says that the driver does not read from a side for now, because what
// came from it has to be written first.
func (c *Conn) Pause(now Instant, side Side) {
	if k := &c.legs[side].keepalive; k.paused == 0 {
		k.paused = now
	}
}

// Resume says that the driver reads from a side again.
func (c *Conn) Resume(now Instant, side Side) {
	k := &c.legs[side].keepalive
	if k.paused == 0 {
		return
	}
	stood := now.Sub(k.paused)
	k.alive = k.alive.Add(stood)
	if p := k.pinged; p != nil && p.sent != 0 { // perhaps in the middle of the pause
		p.sent = p.sent.Add(now.Sub(max(k.paused, p.sent)))
	}
	k.paused = 0
	if k.skipped {
		k.skipped = false
		c.effects.rearm = true
	}
}

// keepaliveDue returns when tickKeepalive has something to do for a side.
func (c *Conn) keepaliveDue(side Side) Instant {
	leg := &c.legs[side]
	timeout := c.settings.LostTimeout
	if timeout == 0 || leg.gone {
		return 0
	}
	k := &leg.keepalive
	switch {
	case k.skipped:
		return 0 // Resume asks to look again.
	case k.pinged == nil:
		return k.alive.Add(c.pingAfter())
	case k.pinged.sent == 0 && !leg.out.broken:
		return max(k.alive.Add(timeout), k.pinged.looked.Add(timeout/2))
	default:
		return max(k.alive.Add(timeout), k.pinged.sent.Add(timeout/2))
	}
}

// tickKeepalive pings a silent leg, and gives up one that stays silent.
func (c *Conn) tickKeepalive(now Instant, side Side, peer func(Side) Peer) {
	leg := &c.legs[side]
	k := &leg.keepalive
	timeout := c.settings.LostTimeout
	if timeout == 0 || leg.gone || c.phase >= Closing {
		return
	}
	if k.paused != 0 {
		k.skipped = true
		return
	}
	if due := c.keepaliveDue(side); due == 0 || now < due {
		return
	}
	kernel := peer(side)
	switch {
	case k.pinged == nil:
		k.pinged = &pinged{acked: kernel.Acked}
		c.sendPing(side)
	case kernel.Acked > k.pinged.acked+pingWireBytes:
		k.heard(now)
	case k.pinged.sent == 0 && !leg.out.broken && kernel.Unanswered < timeout:
		// The writer is blocked, so the ping cannot have been answered. A peer that
		// does not read for now is no lost peer as long as its kernel answers.
		k.pinged.looked = now
	default:
		c.Lost(now, side, Silence)
	}
}

// Peer is what the kernel knows of the peer of a leg (TCP_INFO of tcp(7)).
type Peer struct {
	// Acked is the number of bytes that it has acknowledged so far.
	Acked uint64
	// Unanswered is for how long it has answered nothing, although it was sent
	// something again and again: retransmissions, or probes of its closed window.
	// 0 while it answers.
	Unanswered time.Duration
}
