// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

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
	fault      func(invariant, string, ...any)
	chatty     int // how much of what it could say it says, in percent

	// toProxy are the bytes that the proxy has not read, after which fin or reset
	// comes. pushed and consumed count what was put there and what was read.
	toProxy          []byte
	pushed, consumed int
	fin, reset       bool
	// sent are the whole messages that it sent, by their frames, and ends is where in
	// its stream they end; rest are the frames of the one that is under way, kept what
	// was sent of it. largest is the size of the largest message it began.
	sent    []string
	ends    []int
	rest    [][]byte
	kept    string
	largest int
	// pings and pongs are the payloads of what it sent on its own account, in order.
	pings, pongs map[string]bool
	spoken       []simPing
	frames       map[string]bool // its control frames
	counter      int
	// mute says that it has sent a close frame, or a violation.
	mute, closeSent, violated bool
	closeAt                   int // where in its stream the close frame ends
	said                      simClose

	simEar
}

// simPing is a ping and where in its peer's stream it ends.
type simPing struct {
	payload string
	end     int
}

// simClose is what a close frame says.
type simClose struct {
	code   int
	reason string
}

func newSimPeer(side Side, name string, rng *rand.Rand, extensions bool, fault func(invariant, string, ...any)) *simPeer {
	return &simPeer{
		side: side, name: name, rng: rng, extensions: extensions, fault: fault, chatty: 100,
		pings: map[string]bool{}, pongs: map[string]bool{}, frames: map[string]bool{},
		simEar: simEar{answersClose: rng.IntN(4) > 0},
	}
}

// simMaxPayload is the size of the largest message, nearly; above the limit that
// the settings may have, and twice what a read holds.
const simMaxPayload = 700

// push puts bytes on the way to the proxy.
func (p *simPeer) push(b []byte) {
	p.toProxy = append(p.toProxy, b...)
	p.pushed += len(b)
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
	return append(wire.AppendHeader(make([]byte, 0, wire.MaxHeader+len(payload)), h), payload...)
}

// control builds a control frame, and notes that it is this peer's.
func (p *simPeer) control(op wire.Opcode, payload []byte) []byte {
	frame := p.frame(wire.Header{Fin: true, Opcode: op}, payload)
	p.frames[string(frame)] = true
	return frame
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
	p.push(frame)
	p.kept += string(frame)
	if len(p.rest) == 0 {
		p.sent = append(p.sent, p.kept)
		p.ends = append(p.ends, p.pushed)
		p.kept = ""
	}
}

// begin makes the frames of a message.
func (p *simPeer) begin() {
	size := p.rng.IntN(20)
	switch p.rng.IntN(6) {
	case 0:
		size = p.rng.IntN(simMaxPayload)
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
	p.largest = max(p.largest, len(payload))
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
	p.push(p.control(wire.Ping, []byte(payload)))
	p.spoken = append(p.spoken, simPing{payload, p.pushed})
}

// sayPong sends a pong that nobody asked for (RFC 6455 section 5.5.3 allows it).
func (p *simPeer) sayPong() {
	if p.mute {
		return
	}
	payload := fmt.Sprintf("%s pong %d", p.name, len(p.pongs))
	p.pongs[payload] = true
	p.push(p.control(wire.Pong, []byte(payload)))
}

// sayClose sends a close frame and nothing after it.
func (p *simPeer) sayClose(code int, reason string) {
	if p.mute {
		return
	}
	p.closeWith(simClose{code, reason}, wire.AppendClose(nil, code, reason))
}

func (p *simPeer) closeWith(said simClose, payload []byte) {
	p.push(p.control(wire.Close, payload))
	p.mute, p.closeSent = true, true
	p.said, p.closeAt = said, p.pushed
}

// closeRead says that the proxy has read this peer's close frame.
func (p *simPeer) closeRead() bool { return p.closeSent && p.consumed >= p.closeAt }

// violate sends what no peer may send, and nothing after it.
func (p *simPeer) violate() {
	if p.mute {
		return
	}
	control := wire.Header{Fin: true, Opcode: wire.Close}
	var bad []byte
	switch p.rng.IntN(14) {
	case 0:
		bad = p.frame(wire.Header{Fin: true, Opcode: 3}, []byte("x"))
	case 1:
		bad = p.frame(wire.Header{Fin: true, Opcode: wire.Ping}, make([]byte, 126))
	case 2:
		bad = p.frame(wire.Header{Opcode: wire.Ping}, []byte("x"))
	case 3:
		bad = p.frame(wire.Header{Fin: true, Opcode: wire.Text}, []byte("wrongly masked"))
		bad[1] ^= 0x80
	case 4, 12, 13:
		op := wire.Continuation
		if p.kept != "" {
			op = wire.Text
		}
		bad = p.frame(wire.Header{Fin: true, Opcode: op}, nil)
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
	case 10:
		if p.extensions || p.kept != "" {
			return
		}
		bad = p.frame(wire.Header{Fin: true, RSV: 0x10, Opcode: wire.Text}, []byte("x"))
	case 11:
		if p.kept != "" {
			return
		}
		bad = slices.Insert(p.frame(wire.Header{Fin: true, Opcode: wire.Text}, nil), 2, 0, 0)
		bad[1] |= 126
	}
	p.mute, p.violated = true, true
	p.push(bad)
}

// answer sends what it owes for what it received.
func (p *simPeer) answer() {
	for _, owed := range p.answers {
		switch {
		case p.mute:
		case owed.op == wire.Close:
			p.closeWith(p.gotCode, owed.payload)
		default:
			p.push(p.control(owed.op, owed.payload))
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

// vanish takes the peer off the network: its kernel acknowledges nothing more.
func (p *simPeer) vanish(now Instant) {
	p.vanished, p.mute = true, true
	p.outstanding(now)
}
