// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"errors"
	"slices"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// A message may be sent to the client that is not the upstream's. It is one frame
// without a mask and with RSV1 clear, which permessage-deflate allows for every
// message (RFC 7692 section 6), and its place is between two messages of the
// upstream.

const (
	// MaxSend is the largest payload of a message to send, in bytes: what the
	// gateways of clouds take, so that whoever comes from there is not refused.
	MaxSend = 128 << 10
	// maxSends and maxSendBytes bound what waits for its place and for the client's
	// socket: a few small messages, or two of the largest, beside what is bounded for
	// the messages of the peers.
	maxSends     = 16
	maxSendBytes = 2 * (MaxSend + wire.MaxHeader)
)

// Why a message is not taken.
var (
	// ErrEnding: nothing more can be written to the client.
	ErrEnding = errors.New("the connection is ending")
	// ErrTooBig: it is larger than MaxSend, or than Settings.MaxMessageBytes.
	ErrTooBig = errors.New("the message is too big")
	// ErrFull: too much waits for the client already.
	ErrFull = errors.New("too many messages wait for the client")
)

// Sent is what became of a message.
type Sent struct {
	// ID is that of its Send.
	ID      uint64
	Outcome Outcome
}

// Outcome says what became of a message that was taken.
type Outcome uint8

// The outcomes.
const (
	// Written: the client's socket has taken all of it.
	Written Outcome = iota
	// Dropped: the socket has not taken all of it, and never will.
	Dropped
	// InDoubt: the connection ended while it was being written.
	InDoubt
)

// sends are messages that were taken and of which nothing was reported.
type sends struct {
	// waiting are those that wait for the end of a message; there are none beside a
	// close frame. ready have their place in what is written, in that order.
	waiting, ready []send
	// reports wait for the next TakeEffects.
	reports []Sent
	// bytes are those that wait or are ready, headers included.
	bytes int
}

// send is a message.
type send struct {
	id   uint64
	size int
	// frame is nil once it is ready.
	frame []byte
	// end is how much the client's socket has taken when it has taken this.
	end uint64
}

// sends returns the messages to the client; nil where there are none.
func (c *Conn) sends() *sends {
	if q := c.legs[Client].out.queue; q != nil {
		return q.sends
	}
	return nil
}

// MaySend says whether Send would take a message with so many bytes of payload:
// nil, ErrEnding, ErrTooBig or ErrFull.
func (c *Conn) MaySend(payload int) error {
	leg := &c.legs[Client]
	limit := c.settings.MaxMessageBytes
	switch s := c.sends(); {
	case c.phase >= Closing || leg.gone || leg.out.broken:
		return ErrEnding
	case payload > MaxSend || limit > 0 && int64(payload) > limit:
		return ErrTooBig
	case s != nil && (len(s.waiting)+len(s.ready) == maxSends || s.bytes+payload+wire.MaxHeader > maxSendBytes):
		return ErrFull
	}
	return nil
}

// Send takes a message for the client, text or binary; payload may be used again.
// What becomes of it is in Effects once, under this id, unless it is withdrawn. The
// errors are those of MaySend; then there is nothing to withdraw.
func (c *Conn) Send(id uint64, op wire.Opcode, payload []byte) error {
	if err := c.MaySend(len(payload)); err != nil {
		return err
	}
	frame := wire.AppendFrame(make([]byte, 0, wire.MaxHeader+len(payload)), op, payload, nil)
	out := &c.legs[Client].out
	if out.queue == nil {
		out.queue = &queue{}
	}
	if out.queue.sends == nil {
		out.queue.sends = &sends{}
	}
	s := out.queue.sends
	s.waiting = append(s.waiting, send{id: id, size: len(frame), frame: frame})
	s.bytes += len(frame)
	c.inject(Client)
	return nil
}

// Withdraw takes a message back that still waits for its place. It returns false
// where there is none of this id any more: a part of it may have been written.
func (c *Conn) Withdraw(id uint64) bool {
	s := c.sends()
	if s == nil {
		return false
	}
	i := slices.IndexFunc(s.waiting, func(m send) bool { return m.id == id })
	if i < 0 {
		return false
	}
	s.bytes -= s.waiting[i].size
	s.waiting = slices.Delete(s.waiting, i, i+1)
	c.dropEmptySends()
	return true
}

// Sending is the size in bytes of the messages that are ready, and not taken whole
// by the client's socket.
func (c *Conn) Sending() int {
	n := 0
	if s := c.sends(); s != nil {
		for _, m := range s.ready {
			n += m.size
		}
	}
	return n
}

// inject makes the messages ready that wait.
func (s *sends) inject(out *outbound) {
	end := out.written
	for _, b := range out.ready() {
		end += uint64(len(b))
	}
	for _, m := range s.waiting {
		out.push(m.frame)
		end += uint64(m.size)
		s.ready = append(s.ready, send{id: m.id, size: m.size, end: end})
	}
	s.waiting = nil
}

// reportWritten reports the messages that the client's socket has taken.
func (c *Conn) reportWritten() {
	s := c.sends()
	if s == nil {
		return
	}
	n := 0
	for n < len(s.ready) && s.ready[n].end <= c.legs[Client].out.written {
		n++
	}
	c.reportSends(s.ready[:n], Written)
	s.ready = s.ready[n:]
}

// dropWaiting drops the messages that have no place yet, because the connection is
// ending.
func (c *Conn) dropWaiting() {
	if s := c.sends(); s != nil {
		c.reportSends(s.waiting, Dropped)
		s.waiting = nil
	}
}

// dropReady drops the messages that the socket has not taken, because it takes
// nothing more.
func (c *Conn) dropReady(as Outcome) {
	if s := c.sends(); s != nil {
		c.reportSends(s.ready, as)
		s.ready = nil
	}
}

func (c *Conn) reportSends(messages []send, as Outcome) {
	s := c.sends()
	for _, m := range messages {
		s.bytes -= m.size
		s.reports = append(s.reports, Sent{m.id, as})
		c.effects.sent = true
	}
}

// takeSent returns the reports since it was last called.
func (c *Conn) takeSent() []Sent {
	s := c.sends()
	reports := s.reports
	s.reports = nil
	c.dropEmptySends()
	return reports
}

// dropEmptySends keeps no memory for nothing.
func (c *Conn) dropEmptySends() {
	out := &c.legs[Client].out
	if s := out.queue.sends; len(s.waiting)+len(s.ready)+len(s.reports) == 0 {
		out.queue.sends = nil
		out.dropEmptyQueue()
	}
}
