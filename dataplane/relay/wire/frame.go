// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Opcode says what a frame carries (RFC 6455 section 5.2).
type Opcode uint8

// The opcodes that RFC 6455 defines.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xa
)

// Control says whether a frame of this opcode is a control frame, which may
// stand between the frames of a message.
func (o Opcode) Control() bool { return o&0x8 != 0 }

func (o Opcode) known() bool { return o <= Binary || o >= Close && o <= Pong }

const (
	// MaxHeader is the size in bytes of the longest frame header: 2, an extended
	// length of 8 and a masking key of 4.
	MaxHeader = 14
	// MaxControlPayload is the size in bytes of the largest payload of a control
	// frame (RFC 6455 section 5.5).
	MaxControlPayload = 125
	// MaxControlFrame is the size in bytes of the largest control frame: a header
	// of 2, a masking key of 4 and the payload.
	MaxControlFrame = 2 + 4 + MaxControlPayload

	finBit  = 0x80
	rsvBits = 0x70
	opBits  = 0x0f
	maskBit = 0x80
	lenBits = 0x7f
)

// Header is the header of one frame.
type Header struct {
	// Fin marks the last frame of a message.
	Fin bool
	// RSV holds the three reserved bits in the positions 0x40, 0x20 and 0x10; an
	// extension gives them a meaning.
	RSV uint8
	// Opcode of the frame.
	Opcode Opcode
	// Masked says whether Key masks the payload.
	Masked bool
	// Key is the masking key.
	Key [4]byte
	// Length is the size of the payload in bytes, at most 2^63-1.
	Length uint64
}

// ErrShort says that the bytes end before the header does.
var ErrShort = errors.New("incomplete frame header")

// A ProtocolError is a violation of RFC 6455 by the peer. It is answered with
// close code 1002.
type ProtocolError string

func (e ProtocolError) Error() string { return string(e) }

// ParseHeader reads the frame header at the start of p and returns it with its
// size in bytes. It returns ErrShort where p ends before the header does, and a
// ProtocolError for what no endpoint may send whatever was negotiated: an unknown
// opcode, a control frame that is fragmented or too long, a length that is not
// in its shortest form or over 2^63-1. The violation is found as early as the
// bytes allow, but not before the second byte.
func ParseHeader(p []byte) (Header, int, error) {
	if len(p) < 2 {
		return Header{}, 0, ErrShort
	}
	h := Header{
		Fin:    p[0]&finBit != 0,
		RSV:    p[0] & rsvBits,
		Opcode: Opcode(p[0] & opBits),
		Masked: p[1]&maskBit != 0,
		Length: uint64(p[1] & lenBits),
	}
	if !h.Opcode.known() {
		return Header{}, 0, ProtocolError(fmt.Sprintf("unknown opcode %#x", uint8(h.Opcode)))
	}
	if h.Opcode.Control() {
		if !h.Fin {
			return Header{}, 0, ProtocolError("fragmented control frame")
		}
		if h.Length > MaxControlPayload {
			return Header{}, 0, ProtocolError("control frame with more than 125 bytes")
		}
	}
	n := 2
	switch h.Length {
	case 126:
		if len(p) < n+2 {
			return Header{}, 0, ErrShort
		}
		h.Length = uint64(binary.BigEndian.Uint16(p[n:]))
		if h.Length < 126 {
			return Header{}, 0, ProtocolError("frame length not in its shortest form")
		}
		n += 2
	case 127:
		if len(p) < n+8 {
			return Header{}, 0, ErrShort
		}
		h.Length = binary.BigEndian.Uint64(p[n:])
		if h.Length>>63 != 0 {
			return Header{}, 0, ProtocolError("frame length over 2^63-1")
		}
		if h.Length <= 0xffff {
			return Header{}, 0, ProtocolError("frame length not in its shortest form")
		}
		n += 8
	}
	if h.Masked {
		if len(p) < n+4 {
			return Header{}, 0, ErrShort
		}
		copy(h.Key[:], p[n:])
		n += 4
	}
	return h, n, nil
}

// AppendHeader appends the bytes of a header to dst.
func AppendHeader(dst []byte, h Header) []byte {
	b0 := uint8(h.Opcode) | h.RSV&rsvBits
	if h.Fin {
		b0 |= finBit
	}
	var mask uint8
	if h.Masked {
		mask = maskBit
	}
	switch {
	case h.Length < 126:
		dst = append(dst, b0, mask|uint8(h.Length))
	case h.Length <= 0xffff:
		dst = append(dst, b0, mask|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(h.Length))
	default:
		dst = append(dst, b0, mask|127)
		dst = binary.BigEndian.AppendUint64(dst, h.Length)
	}
	if h.Masked {
		dst = append(dst, h.Key[:]...)
	}
	return dst
}

// AppendFrame appends a whole, unfragmented frame to dst. With a key the payload
// is masked with it, as a client's frame must be.
func AppendFrame(dst []byte, op Opcode, payload []byte, key *[4]byte) []byte {
	h := Header{Fin: true, Opcode: op, Length: uint64(len(payload))}
	if key != nil {
		h.Masked, h.Key = true, *key
	}
	dst = AppendHeader(dst, h)
	start := len(dst)
	dst = append(dst, payload...)
	if key != nil {
		Mask(*key, dst[start:])
	}
	return dst
}

// Mask masks or unmasks p in place with key (RFC 6455 section 5.3). It is for
// the small frames that the proxy looks into or makes itself; the payload of
// what it relays is never touched.
func Mask(key [4]byte, p []byte) {
	for i := range p {
		p[i] ^= key[i&3]
	}
}
