// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

// keepalive is what is known of the life of a leg.
//
// A leg is silent as long as no byte comes from it while we read. After half of
// LostTimeout it is sent a ping, after all of it the leg is lost; but never before
// a ping had the other half to be answered, so a timeout that is lowered on a
// live connection hits nobody who lives.
type keepalive struct {
	// alive is when the leg showed life last. While it is not read from, because
	// what came from it could not be passed on yet, its clock stands still.
	alive  Instant
	paused Instant // since when it is not read from; 0 while it is
	// skipped says that a Tick passed while it was paused.
	skipped bool
	// pinged says that a ping of ours was queued since; pingSent is when the
	// socket took it.
	pinged   bool
	pingSent Instant
	// acked is what the peer had acknowledged when the ping was queued. A peer that
	// acknowledges more than the ping is alive: it is receiving something large.
	acked uint64
	pings pings
}

// pingWireBytes is more than a ping of ours has on the wire: 14 bytes, and up to
// 29 of a TLS record around it. Its mere acknowledgement comes from the peer's
// kernel and is no sign of life of the peer.
const pingWireBytes = 64

// heard notes a sign of life. It returns true where the next ping may be due
// before what was due so far: the leg was pinged, and was to be lost later than
// half of the timeout from now, or never while the socket had not taken the ping.
func (k *keepalive) heard(now Instant) bool {
	pinged := k.pinged
	k.alive, k.pinged, k.pingSent = now, false, 0
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
	if k := &c.legs[side].keep; k.paused == 0 {
		k.paused = now
	}
}

// Resume says that the driver reads from a side again.
func (c *Conn) Resume(now Instant, side Side) {
	k := &c.legs[side].keep
	if k.paused == 0 {
		return
	}
	stood := now.Sub(k.paused)
	k.alive = k.alive.Add(stood)
	if k.pingSent != 0 {
		k.pingSent = k.pingSent.Add(stood)
	}
	k.paused = 0
	if k.skipped {
		k.skipped = false
		c.effects.Rearm = true
	}
}

// keepaliveDue returns when tickKeepalive has something to do for a side.
func (c *Conn) keepaliveDue(side Side) Instant {
	leg := &c.legs[side]
	timeout := c.settings.LostTimeout
	if timeout == 0 || leg.gone {
		return 0
	}
	k := &leg.keep
	switch {
	case k.skipped:
		return 0 // Resume asks to look again.
	case !k.pinged:
		return k.alive.Add(timeout / 2)
	case k.pingSent == 0 && !leg.out.broken:
		// A ping that the socket has not taken cannot have been answered. A blocked
		// writer whose peer is dead is found by the kernel (TCP_USER_TIMEOUT).
		return 0
	default:
		return max(k.alive.Add(timeout), k.pingSent.Add(timeout/2))
	}
}

// tickKeepalive pings a silent leg, and gives up one that stays silent.
func (c *Conn) tickKeepalive(now Instant, side Side, acked func(Side) uint64) {
	leg := &c.legs[side]
	k := &leg.keep
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
	if !k.pinged {
		k.pinged, k.pingSent = true, 0
		k.acked = acked(side)
		c.sendPing(side)
		return
	}
	if total := acked(side); total > k.acked+pingWireBytes {
		k.heard(now)
		return
	}
	c.Lost(now, side, Silence)
}
