// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// simEar is what a peer hears.
type simEar struct {
	// fromProxy are the bytes that the proxy's kernel took and this peer has not
	// acknowledged; vanished says that it never will. acked counts those that it
	// has.
	fromProxy       []byte
	took            []byte // all that the proxy's kernel took for it
	acked           uint64
	vanished        bool
	unansweredSince Instant // since when there are such bytes of one who vanished
	// dead says that the proxy's socket is closed; farewell that it was given up with
	// a close frame.
	dead, farewell bool
	// in is what was received and not parsed.
	in        []byte
	message   string // the frames so far of the message that is being received
	size      int    // of its payload
	inMessage bool
	received  []string
	largestIn int // the payload of the largest of them
	gotPings  []string
	gotPongs  []string
	gotClose  bool
	gotCode   simClose
	gotFrames []string // control frames, with their header
	// answers are what it is going to send because of what it received.
	answers      []simAnswer
	answersClose bool // it answers close frames
}

// simAnswer is a control frame that is owed.
type simAnswer struct {
	op      wire.Opcode
	payload []byte
}

// outstanding notes since when a peer that vanished owes an acknowledgement.
func (p *simPeer) outstanding(now Instant) {
	if p.vanished && p.unansweredSince == 0 && len(p.fromProxy) > 0 {
		p.unansweredSince = now
	}
}

// take makes the peer receive, and so acknowledge, n bytes.
func (p *simPeer) take(n int) {
	p.in = append(p.in, p.fromProxy[:n]...)
	p.fromProxy = p.fromProxy[n:]
	p.acked += uint64(n)
	for len(p.in) > 0 {
		h, size, err := wire.ParseHeader(p.in)
		if err == wire.ErrShort { //nolint:errorlint // it is never wrapped
			return
		}
		if err != nil {
			p.fault(LegalFrames, "%s received %v: % x", p.name, err, p.in[:min(20, len(p.in))])
			return
		}
		if p.gotClose {
			p.fault(NothingAfterClose, "%s received % x after a close frame", p.name, p.in[:min(20, len(p.in))])
		}
		if h.Masked != (p.side == Upstream) {
			p.fault(LegalFrames, "%s received a frame with masked=%v", p.name, h.Masked)
		}
		if h.RSV != 0 && !p.extensions {
			p.fault(LegalFrames, "%s received reserved bits", p.name)
		}
		if uint64(len(p.in)-size) < h.Length {
			return
		}
		frame := p.in[:size+int(h.Length)]
		p.in = p.in[len(frame):]
		p.receive(h, frame, size)
	}
}

// receive handles a whole frame.
func (p *simPeer) receive(h wire.Header, frame []byte, size int) {
	if !h.Opcode.Control() {
		if p.inMessage != (h.Opcode == wire.Continuation) {
			p.fault(LegalFrames, "%s received opcode %d, within a message: %v", p.name, h.Opcode, p.inMessage)
		}
		p.message += string(frame)
		p.size += int(h.Length)
		p.inMessage = !h.Fin
		if h.Fin {
			p.received = append(p.received, p.message)
			p.largestIn = max(p.largestIn, p.size)
			p.message, p.size = "", 0
		}
		return
	}
	p.gotFrames = append(p.gotFrames, string(frame))
	payload := append([]byte(nil), frame[size:]...)
	if h.Masked {
		wire.Mask(h.Key, payload)
	}
	switch h.Opcode {
	case wire.Ping:
		p.gotPings = append(p.gotPings, string(payload))
		if p.rng.IntN(3) == 0 {
			p.answers = nil // Only the latest ping has to be answered.
		}
		p.answers = append(p.answers, simAnswer{wire.Pong, payload})
	case wire.Pong:
		p.gotPongs = append(p.gotPongs, string(payload))
	case wire.Close:
		p.receiveClose(payload)
	}
}

func (p *simPeer) receiveClose(payload []byte) {
	p.gotClose = true
	p.gotCode = simClose{code: wire.CloseNoStatus}
	if len(payload) == 1 {
		p.fault(LegalFrames, "%s received a close frame with half a code", p.name)
		return
	}
	if len(payload) > 1 {
		p.gotCode = simClose{int(binary.BigEndian.Uint16(payload)), string(payload[2:])}
		switch p.gotCode.code {
		case 1004, 1005, 1006, 1015:
			p.fault(LegalFrames, "%s received close code %d", p.name, p.gotCode.code)
		}
		if !utf8.ValidString(p.gotCode.reason) {
			p.fault(LegalFrames, "%s received reason %q", p.name, p.gotCode.reason)
		}
	}
	if p.answersClose && !p.mute {
		// What is under way is not finished: it would not be looked at.
		p.answers = append(p.answers, simAnswer{wire.Close, payload})
	}
}
