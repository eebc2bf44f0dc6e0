// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"bytes"
	"encoding/binary"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// forwarded is a ping that one side sent the other.
type forwarded struct {
	payload []byte
	// again counts those before it that had the same payload.
	again int
	// overtaken says that ours was sent after it. An endpoint may answer the latest
	// ping alone (RFC 6455 section 5.5.3), so this one may go unanswered.
	overtaken bool
}

// is says whether a ping with this payload was forwarded and not answered.
func (f *forwarded) is(payload []byte) bool { return f != nil && bytes.Equal(payload, f.payload) }

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
	p := &c.legs[to].keepalive
	if p.theirs.is(payload) {
		p.theirs.again++
	} else {
		p.theirs = &forwarded{payload: bytes.Clone(payload)}
	}
	p.theirs.overtaken = false
	c.passControl(from, frame)
}

// pong forwards a pong, unless it answers a ping of ours or one of an upstream
// that is gone.
func (c *Conn) pong(from Side, frame, payload []byte) {
	p := &c.legs[from].keepalive
	switch {
	case p.isOurs(payload):
		if p.waiting && bytes.Equal(payload, p.ours[:]) {
			p.waiting, p.stale = false, false
			if p.theirs != nil && p.theirs.overtaken {
				c.enqueue(from.Other(), wire.Pong, p.theirs.payload)
				p.theirs = nil
			}
		}
		return
	case p.theirs.is(payload):
		p.stale = false
		if p.theirs.again--; p.theirs.again < 0 {
			p.theirs = nil
		}
	case p.stale:
		return
	}
	c.passControl(from, frame)
}

// sendPing puts a ping of ours in line for a side.
func (c *Conn) sendPing(to Side) {
	leg := &c.legs[to]
	p := &leg.keepalive
	if p.ours == [8]byte{} {
		binary.BigEndian.PutUint64(p.ours[:], c.settings.Random()|1) // never zero
	}
	if leg.out.pingQueued {
		return // The last one is still waiting for the socket.
	}
	count := binary.BigEndian.Uint16(p.ours[len(p.ours)-2:])
	binary.BigEndian.PutUint16(p.ours[len(p.ours)-2:], count+1)
	p.waiting = true
	if p.theirs != nil {
		p.theirs.overtaken = true
	}
	leg.out.pingQueued = true
	c.enqueue(to, wire.Ping, p.ours[:])
}

// isOurs says whether a pong answers a ping of ours, the last one or one before.
func (k *keepalive) isOurs(payload []byte) bool {
	const leg = len(k.ours) - 2
	return k.ours != [8]byte{} && len(payload) == len(k.ours) && bytes.Equal(payload[:leg], k.ours[:leg])
}

// forgetPings forgets the pings between the client and an upstream that is gone.
// What that was sent by us, its keepalive forgets when it is restarted.
func (c *Conn) forgetPings() {
	up, client := &c.legs[Upstream], &c.legs[Client]
	if up.theirs != nil {
		c.enqueue(Client, wire.Pong, up.theirs.payload)
		up.theirs = nil
	}
	if client.theirs != nil {
		client.stale, client.theirs, client.waiting = true, nil, false
	}
}
