// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

// naiveHeader reads a header as RFC 6455 section 5.2 draws it: bit by bit from the
// left. It returns the violation that it finds first, or "short".
func naiveHeader(p []byte) (h Header, size int, problem string) {
	var bits strings.Builder
	for _, b := range p {
		fmt.Fprintf(&bits, "%08b", b)
	}
	rest := bits.String()
	short := false
	next := func(n int) *big.Int {
		if n > len(rest) {
			short, rest = true, ""
			return new(big.Int)
		}
		v, _ := new(big.Int).SetString(rest[:n], 2)
		rest = rest[n:]
		return v
	}
	if len(p) < 2 {
		return h, 0, "short"
	}
	h.Fin = next(1).Sign() > 0
	h.RSV = uint8(next(3).Uint64() << 4)
	h.Opcode = Opcode(next(4).Uint64())
	h.Masked = next(1).Sign() > 0
	length := next(7)
	switch h.Opcode {
	case Continuation, Text, Binary:
	case Close, Ping, Pong:
		if !h.Fin {
			return h, 0, "fragmented"
		}
		if length.Cmp(big.NewInt(125)) > 0 {
			return h, 0, "125"
		}
	default:
		return h, 0, "opcode"
	}
	least := big.NewInt(0)
	switch length.Uint64() {
	case 126:
		length, least = next(16), big.NewInt(126)
	case 127:
		length, least = next(64), big.NewInt(1<<16)
	}
	most := new(big.Int).Lsh(big.NewInt(1), 63)
	switch {
	case short:
		return h, 0, "short"
	case length.Cmp(least) < 0:
		return h, 0, "shortest"
	case length.Cmp(most) >= 0:
		return h, 0, "2^63"
	}
	h.Length = length.Uint64()
	if h.Masked {
		for i := range h.Key {
			h.Key[i] = byte(next(8).Uint64())
		}
	}
	if short {
		return h, 0, "short"
	}
	return h, len(p) - len(rest)/8, ""
}

// FuzzParseHeaderIsThatOfTheRFC compares ParseHeader to one that is plainly right.
func FuzzParseHeaderIsThatOfTheRFC(f *testing.F) {
	for _, seed := range [][]byte{
		{}, {0x81}, {0x81, 0}, {0x81, 0x85, 1, 2, 3, 4}, {0x82, 126, 1, 0}, {0x82, 126, 0, 1}, {0x02, 0x83, 1, 2},
		{0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}, {0x82, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4}, {0x09, 0}, {0x8b, 0}, {0xf1, 5}, {0x89, 126},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		want, size, problem := naiveHeader(p)
		got, n, err := ParseHeader(p)
		var violation ProtocolError
		switch {
		case problem == "" && (err != nil || got != want || n != size):
			t.Errorf("% x: got %+v, %d bytes, %v; want %+v, %d bytes", p, got, n, err, want, size)
		case problem == "short" && !errors.Is(err, ErrShort):
			t.Errorf("% x is incomplete, got %v", p, err)
		case problem != "" && problem != "short" && (!errors.As(err, &violation) || !strings.Contains(string(violation), problem)):
			t.Errorf("% x: got %v, want one about %s", p, err, problem)
		}
	})
}
