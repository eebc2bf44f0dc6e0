// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// Terms are what the two handshakes agreed on.
type Terms struct {
	// Extensions says that some extension was negotiated, so that reserved bits
	// may be set.
	Extensions bool
	// NotReconnectable says why a new upstream could not take this connection
	// over; empty where it could.
	NotReconnectable string
}

// Conn is one proxied connection, from the moment that both handshakes are done.
// It is a plain value: it can be written down and read back.
type Conn struct {
	settings *Settings

	opened Instant
	active Instant // when a byte came last, from either side
	legs   [2]leg
	handed handed

	phase      Phase
	extensions bool // some were negotiated
	// early is how much of EarlyShare pings of ours come early, in 256ths.
	early   uint8
	effects effects

	// What most connections do not have is nil, so that an idle one is small.

	terms  *Terms  // where it is not reconnectable
	hold   *hold   // where the client may be held
	rate   *bucket // where its rate is limited
	ending *ending // from Closing on
}

// ending is how and when a connection ends.
type ending struct {
	End
	by Instant // when the close handshake is given up
}

// leg is one side of a connection.
type leg struct {
	in  inbound
	out outbound
	keepalive
}

// Effects are what the driver is to do, beyond reading and writing.
type Effects struct {
	// Dial asks for one attempt to reach a new upstream, to be answered with
	// Attached or DialFailed.
	Dial bool
	// Detach asks to give up the socket to the upstream: to write Farewell, where
	// there is one, and to close it.
	Detach   bool
	Farewell []byte
	// Reset asks, per side, to end the socket at once (RST). Where a connection is
	// Done and Reset is not asked for, the socket is ended with FIN, after what is
	// pending was written.
	Reset [2]bool
	// Rearm says that Next may have moved forward.
	Rearm bool
	// Sent says what became of messages that Send has taken.
	Sent []Sent
}

// effects are Effects that were not taken yet.
type effects struct {
	dial, detach, rearm, sent bool
	reset                     [2]bool
}

// New returns a connection whose legs are both open.
func New(now Instant, settings *Settings, terms Terms) *Conn {
	c := &Conn{settings: settings, opened: now, active: now, extensions: terms.Extensions}
	if terms.NotReconnectable != "" {
		c.terms = &terms
	}
	c.rate = newBucket(now, settings.MessagesPerSecond)
	c.retainAsSet()
	for side := range c.legs {
		c.legs[side].alive = now
	}
	c.early = uint8(settings.Random())
	if settings.AutoReconnect {
		c.beginRetaining()
	}
	c.effects.rearm = true
	return c
}

// Phase returns where the connection stands.
func (c *Conn) Phase() Phase { return c.phase }

// End returns how the connection ended, or is about to: it is set from Closing on.
func (c *Conn) End() End {
	if c.ending == nil {
		return End{}
	}
	return c.ending.End
}

// notReconnectable is what the handshakes say against another upstream.
func (c *Conn) notReconnectable() string {
	if c.terms == nil {
		return ""
	}
	return c.terms.NotReconnectable
}

// Opened returns when the client was answered.
func (c *Conn) Opened() Instant { return c.opened }

// LastActive returns when a byte came last, from either side.
func (c *Conn) LastActive() Instant { return c.active }

// Messages returns the number of whole messages that came from a side.
func (c *Conn) Messages(from Side) uint64 { return c.legs[from].in.messages }

// Bytes returns the number of bytes, frame headers included, that came from a
// side.
func (c *Conn) Bytes(from Side) uint64 { return c.legs[from].in.bytes }

// Reconnects returns how often the upstream was replaced.
func (c *Conn) Reconnects() int {
	if c.hold == nil {
		return 0
	}
	return c.hold.reconnects
}

// Attempt returns the number of the current attempt to reconnect, from 1.
func (c *Conn) Attempt() int {
	if c.hold == nil {
		return 1
	}
	return c.hold.failed + 1
}

// PossiblyLost returns an upper bound of the messages that were handed over to an
// upstream that was lost before it acknowledged them.
func (c *Conn) PossiblyLost() uint64 {
	if c.hold == nil {
		return 0
	}
	return c.hold.possiblyLost
}

// Undelivered returns how many whole messages of the client were not handed over
// to any upstream. While it is held they wait; where the connection has ended they
// are lost, and known to be.
func (c *Conn) Undelivered() uint64 {
	return c.legs[Client].in.messages - min(c.handed.delivered, c.legs[Client].in.messages)
}

// TakeEffects returns what there is to do since the last call.
func (c *Conn) TakeEffects() Effects {
	e := Effects{Dial: c.effects.dial, Detach: c.effects.detach, Reset: c.effects.reset, Rearm: c.effects.rearm}
	if e.Detach && c.hold != nil {
		e.Farewell, c.hold.farewell = c.hold.farewell, nil
	}
	if c.effects.sent {
		e.Sent = c.takeSent()
	}
	c.effects = effects{}
	return e
}

// HasEffects says whether TakeEffects would return anything. Every change of phase
// has one.
func (c *Conn) HasEffects() bool { return c.effects != effects{} }

// TakesRearm says, and forgets, that Next may have moved forward. It is for the
// one call after which no other effect is possible, Resume.
func (c *Conn) TakesRearm() bool {
	rearm := c.effects.rearm
	c.effects.rearm = false
	return rearm
}

// Apply puts other settings in force, at once.
func (c *Conn) Apply(now Instant, settings *Settings) {
	before := c.settings
	c.settings = settings
	c.effects.rearm = true
	if before.MessagesPerSecond != settings.MessagesPerSecond {
		c.rate = newBucket(now, settings.MessagesPerSecond)
	}
	c.retainAsSet()
	if settings.AutoReconnect && !before.AutoReconnect {
		c.beginRetaining()
	}
	c.applyReplay()
	c.applyHold(now, before)
}

// Tick does what is due. peer returns what the kernel knows of the peer of a side;
// it is asked only where the answer decides something.
func (c *Conn) Tick(now Instant, peer func(Side) Peer) {
	if c.phase == Done {
		return
	}
	c.effects.rearm = true
	if c.phase == Closing {
		if now >= c.ending.by {
			c.giveUpClosing(now)
		}
		return
	}
	if age := c.settings.MaxAge; age > 0 && now.Sub(c.opened) >= age {
		c.closeBoth(now, End{ByProxy, CauseMaxAge, wire.CloseGoingAway, "maximum connection age reached", false}, closeGrace)
		return
	}
	c.tickHold(now)
	for side := range Side(len(c.legs)) {
		c.tickKeepalive(now, side, peer)
	}
}

// Next returns when Tick is due; 0 is never.
func (c *Conn) Next() Instant {
	switch c.phase {
	case Done:
		return 0
	case Closing:
		return c.ending.by
	}
	var next Instant
	if c.hold != nil {
		next = c.hold.dialAt
	}
	if c.settings.MaxAge > 0 {
		next = earliest(next, c.opened.Add(c.settings.MaxAge))
	}
	for side := range Side(len(c.legs)) {
		next = earliest(next, c.keepaliveDue(side))
	}
	return next
}

// earliest returns the earlier of two moments, either of which may be never.
func earliest(a, b Instant) Instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// bucket is a token bucket: one token a message, one second's worth of burst.
type bucket struct {
	tokens float64
	filled Instant
}

// newBucket returns a full one; nil where there is no limit.
func newBucket(now Instant, perSecond int) *bucket {
	if perSecond == 0 {
		return nil
	}
	return &bucket{float64(perSecond), now}
}

// take takes a token, and says whether there was one. The driver's now may be a
// little older than that of who made the bucket, and takes nothing out of it.
func (b *bucket) take(now Instant, perSecond int) bool {
	if since := now.Sub(b.filled); since > 0 {
		b.tokens += since.Seconds() * float64(perSecond)
		b.filled = now
	}
	b.tokens = min(b.tokens, float64(perSecond))
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// DefaultGrace is how long Disconnect waits for the close handshake where its
// caller does not say.
const DefaultGrace = 5 * time.Second

// closeGrace is how long a peer has to answer a close frame. RFC 6455 section
// 7.1.1 asks for "a reasonable time"; browsers wait 2 to 10 seconds.
const closeGrace = 10 * time.Second

// answerGrace is how long a peer has to take the answer to its close frame, once
// the other side has failed to give one.
const answerGrace = time.Second
