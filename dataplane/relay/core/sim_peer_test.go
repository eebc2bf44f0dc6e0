// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"unicode/utf8"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// simPeer is a client or one generation of the upstream, with the two directions
// of its TCP connection to the proxy. What it is sent it parses on its own, and
// complains about everything that no legal peer could have sent.
type simPeer struct {
	side       Side
	name       string
	rng        *rand.Rand
	extensions bool
	maxPayload int

	// toProxy are the bytes that the proxy has not read, after which fin or reset
	// comes.
	toProxy    []byte
	fin, reset bool
	// sent are the whole messages that it sent, by their frames; rest are the frames
	// of the one that is under way, kept what was sent of it.
	sent []string
	rest [][]byte
	kept string
	// pings and pongs are the payloads of what it sent on its own account.
	pings, pongs map[string]bool
	counter      int
	// mute says that it has sent a close frame, or a violation.
	mute, closeSent bool

	// fromProxy are the bytes that the proxy's kernel took and this peer has not
	// acknowledged; vanished says that it never will.
	fromProxy []byte
	vanished  bool
	// dead says that the proxy's socket is closed.
	dead bool
	// in is what was received and not parsed.
	in        []byte
	message   string // the frames so far of the message that is being received
	inMessage bool
	received  []string
	gotPings  []string
	gotPongs  []string
	gotClose  bool
	closeCode int
	// answers are what it is going to send because of what it received.
	answers      [][]byte
	answersClose bool // it answers close frames
	faults       []string
}

func newSimPeer(side Side, name string, rng *rand.Rand, extensions bool, maxPayload int) *simPeer {
	return &simPeer{
		side: side, name: name, rng: rng, extensions: extensions, maxPayload: maxPayload,
		pings: map[string]bool{}, pongs: map[string]bool{}, answersClose: rng.IntN(4) > 0,
	}
}

func (p *simPeer) fault(format string, args ...any) {
	p.faults = append(p.faults, p.name+": "+fmt.Sprintf(format, args...))
}

// frame builds a frame of this peer. The masking key of a client tells every
// frame from every other.
func (p *simPeer) frame(h wire.Header, payload []byte) []byte {
	h.Length = uint64(len(payload))
	payload = append([]byte(nil), payload...)
	if p.side == Client {
		p.counter++
		h.Masked = true
		binary.BigEndian.PutUint32(h.Key[:], uint32(p.counter)<<8|uint32(p.rng.IntN(256)))
		wire.Mask(h.Key, payload)
	}
	return append(wire.AppendHeader(nil, h), payload...)
}

// say sends the next frame of a message, and begins one where there is none.
func (p *simPeer) say() {
	if p.mute {
		return
	}
	if len(p.rest) == 0 {
		p.begin()
	}
	frame := p.rest[0]
	p.rest = p.rest[1:]
	p.toProxy = append(p.toProxy, frame...)
	p.kept += string(frame)
	if len(p.rest) == 0 {
		p.sent = append(p.sent, p.kept)
		p.kept = ""
	}
}

// begin makes the frames of a message.
func (p *simPeer) begin() {
	size := p.rng.IntN(20)
	switch p.rng.IntN(6) {
	case 0:
		size = p.rng.IntN(p.maxPayload)
	case 1:
		size = 0
	}
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = byte(p.rng.Uint32())
	}
	if p.side == Upstream {
		payload = append(fmt.Appendf(nil, "%s.%d ", p.name, len(p.sent)), payload...)
	}
	h := wire.Header{Opcode: wire.Binary}
	if p.extensions && p.rng.IntN(2) == 0 {
		h.RSV = 0x40
	}
	for p.rng.IntN(3) == 0 {
		n := p.rng.IntN(len(payload) + 1)
		p.rest = append(p.rest, p.frame(h, payload[:n]))
		payload = payload[n:]
		h = wire.Header{Opcode: wire.Continuation}
	}
	h.Fin = true
	p.rest = append(p.rest, p.frame(h, payload))
}

// sayPing sends a ping with a payload that nobody else uses.
func (p *simPeer) sayPing() {
	if p.mute {
		return
	}
	payload := fmt.Sprintf("%s ping %d", p.name, len(p.pings))
	p.pings[payload] = true
	p.toProxy = append(p.toProxy, p.frame(wire.Header{Fin: true, Opcode: wire.Ping}, []byte(payload))...)
}

// sayPong sends a pong that nobody asked for (RFC 6455 section 5.5.3 allows it).
func (p *simPeer) sayPong() {
	if p.mute {
		return
	}
	payload := fmt.Sprintf("%s pong %d", p.name, len(p.pongs))
	p.pongs[payload] = true
	p.toProxy = append(p.toProxy, p.frame(wire.Header{Fin: true, Opcode: wire.Pong}, []byte(payload))...)
}

// sayClose sends a close frame and nothing after it.
func (p *simPeer) sayClose(code int, reason string) {
	if p.mute {
		return
	}
	p.mute, p.closeSent = true, true
	p.toProxy = append(p.toProxy, p.frame(wire.Header{Fin: true, Opcode: wire.Close}, wire.AppendClose(nil, code, reason))...)
}

// violate sends what no peer may send, and nothing after it.
func (p *simPeer) violate() {
	if p.mute {
		return
	}
	control := wire.Header{Fin: true, Opcode: wire.Close}
	var bad []byte
	switch p.rng.IntN(10) {
	case 0:
		bad = p.frame(wire.Header{Fin: true, Opcode: 3}, []byte("x"))
	case 1:
		bad = p.frame(wire.Header{Fin: true, Opcode: wire.Ping}, make([]byte, 126))
	case 2:
		bad = p.frame(wire.Header{Opcode: wire.Ping}, []byte("x"))
	case 3:
		bad = p.frame(wire.Header{Fin: true, Opcode: wire.Text}, []byte("wrongly masked"))
		bad[1] ^= 0x80
	case 4:
		op := wire.Continuation
		if p.kept != "" {
			op = wire.Text
		}
		bad = p.frame(wire.Header{Fin: true, Opcode: op}, []byte("out of place"))
	case 5:
		bad = p.frame(control, []byte{3})
	case 6:
		bad = p.frame(control, wire.AppendClose(nil, 1006, ""))
	case 7:
		bad = p.frame(control, wire.AppendClose(nil, 1000, "\xff"))
	case 8:
		bad = append(p.frame(wire.Header{Fin: true, Opcode: 11}, nil), make([]byte, 200)...)
	case 9:
		if p.extensions {
			return
		}
		bad = p.frame(wire.Header{Fin: true, RSV: 0x40, Opcode: wire.Ping}, []byte("x"))
	}
	p.mute = true
	p.toProxy = append(p.toProxy, bad...)
}

// take makes the peer receive, and so acknowledge, n bytes.
func (p *simPeer) take(n int) {
	p.in = append(p.in, p.fromProxy[:n]...)
	p.fromProxy = p.fromProxy[n:]
	for len(p.in) > 0 {
		h, size, err := wire.ParseHeader(p.in)
		if err == wire.ErrShort { //nolint:errorlint // it is never wrapped
			return
		}
		if err != nil {
			p.fault("received %v: % x", err, p.in[:min(20, len(p.in))])
			return
		}
		if p.gotClose {
			p.fault("received something after a close frame")
		}
		if h.Masked != (p.side == Upstream) {
			p.fault("received a frame with masked=%v", h.Masked)
		}
		if h.RSV != 0 && !p.extensions {
			p.fault("received reserved bits")
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
	payload := append([]byte(nil), frame[size:]...)
	if h.Masked {
		wire.Mask(h.Key, payload)
	}
	switch h.Opcode {
	case wire.Ping:
		p.gotPings = append(p.gotPings, string(payload))
		pong := p.frame(wire.Header{Fin: true, Opcode: wire.Pong}, payload)
		if p.rng.IntN(5) == 0 {
			p.answers = nil // Only the latest ping has to be answered.
		}
		p.answers = append(p.answers, pong)
	case wire.Pong:
		p.gotPongs = append(p.gotPongs, string(payload))
	case wire.Close:
		p.receiveClose(payload)
	default:
		if p.inMessage != (h.Opcode == wire.Continuation) {
			p.fault("received opcode %d, within a message: %v", h.Opcode, p.inMessage)
		}
		p.message += string(frame)
		p.inMessage = !h.Fin
		if h.Fin {
			p.received = append(p.received, p.message)
			p.message = ""
		}
	}
}

func (p *simPeer) receiveClose(payload []byte) {
	p.gotClose = true
	p.closeCode = wire.CloseNoStatus
	if len(payload) == 1 {
		p.fault("received a close frame with half a code")
		return
	}
	if len(payload) > 1 {
		p.closeCode = int(binary.BigEndian.Uint16(payload))
		if !wire.ValidCloseCode(p.closeCode) || !utf8.Valid(payload[2:]) {
			p.fault("received close code %d, reason %q", p.closeCode, payload[2:])
		}
	}
	if p.answersClose && !p.mute {
		// What is under way is not finished: it would not be looked at.
		p.answers = append(p.answers, p.frame(wire.Header{Fin: true, Opcode: wire.Close}, payload))
	}
}

// answer sends what it owes for what it received.
func (p *simPeer) answer() {
	for _, frame := range p.answers {
		if p.mute {
			break
		}
		p.toProxy = append(p.toProxy, frame...)
		if frame[0]&0xf == byte(wire.Close) {
			p.mute, p.closeSent = true, true
		}
	}
	p.answers = nil
}

// leave ends the peer's socket: with FIN behind what it sent, perhaps in the
// middle of it, or with a reset, which discards what the proxy has not read.
func (p *simPeer) leave() {
	p.mute = true
	if p.rng.IntN(2) == 0 {
		p.reset = true
		p.toProxy = p.toProxy[:p.rng.IntN(len(p.toProxy)+1)]
		return
	}
	p.fin = true
	if p.rng.IntN(2) == 0 {
		p.toProxy = p.toProxy[:p.rng.IntN(len(p.toProxy)+1)]
	}
}
