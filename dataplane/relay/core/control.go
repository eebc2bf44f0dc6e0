// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"bytes"
	"encoding/binary"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// pings is what is known of the pings that a side was sent.
type pings struct {
	// ours is the payload of the last ping of ours, as long as its pong may come.
	ours    [8]byte
	waiting bool
	// theirs is the payload of the last ping of the other side that was forwarded
	// to this one and not answered; nil where there is none.
	theirs []byte
	// overtaken says that ours was sent after theirs. An endpoint may answer the
	// latest ping alone (RFC 6455 section 5.5.3), so theirs may go unanswered.
	overtaken bool
	// stale is the payload of a ping of an upstream that is gone: its pong must
	// not reach the next upstream.
	stale []byte
}

// control handles a whole control frame that came from a side; its payload
// begins at byte start.
func (c *Conn) control(now Instant, from Side, frame []byte, start int, h wire.Header) {
	var unmasked [wire.MaxControlPayload]byte
	payload := unmasked[:copy(unmasked[:], frame[start:])]
	if h.Masked {
		wire.Mask(h.Key, payload)
	}
	switch h.Opcode {
	case wire.Ping:
		c.ping(from, frame, payload)
	case wire.Pong:
		c.pong(from, frame, payload)
	case wire.Close:
		c.closed(now, from, frame, payload)
	}
}

// ping forwards a ping, or answers it while there is nobody to forward it to.
func (c *Conn) ping(from Side, frame, payload []byte) {
	to := from.Other()
	if from == Client && c.holding() {
		// There is no upstream, or it is being told first what the old one missed.
		c.enqueue(Client, wire.Pong, payload)
		return
	}
	p := &c.legs[to].keep.pings
	p.theirs, p.overtaken = append([]byte{}, payload...), false // never nil
	c.passControl(from, frame)
}

// pong forwards a pong, unless it answers a ping of ours or one of an upstream
// that is gone.
func (c *Conn) pong(from Side, frame, payload []byte) {
	p := &c.legs[from].keep.pings
	switch {
	case p.waiting && bytes.Equal(payload, p.ours[:]):
		p.waiting = false
		if p.overtaken && p.theirs != nil {
			c.enqueue(from.Other(), wire.Pong, p.theirs)
			p.theirs = nil
		}
		return
	case p.theirs != nil && bytes.Equal(payload, p.theirs):
		p.theirs = nil
	case p.stale != nil && bytes.Equal(payload, p.stale):
		p.stale = nil
		return
	}
	c.passControl(from, frame)
}

// sendPing puts a ping of ours in line for a side.
func (c *Conn) sendPing(to Side) {
	leg := &c.legs[to]
	p := &leg.keep.pings
	binary.BigEndian.PutUint64(p.ours[:], c.random())
	p.waiting = true
	p.overtaken = p.theirs != nil
	leg.out.pingQueued = true
	c.enqueue(to, wire.Ping, p.ours[:])
}

// forgetPings forgets the pings between the client and an upstream that is gone.
func (c *Conn) forgetPings() {
	if up := &c.legs[Upstream].keep.pings; up.theirs != nil {
		c.enqueue(Client, wire.Pong, up.theirs)
	}
	c.legs[Upstream].keep.pings = pings{}
	client := &c.legs[Client].keep.pings
	if client.theirs != nil {
		client.stale, client.theirs = client.theirs, nil
	}
}
