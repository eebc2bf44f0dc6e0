// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// glanced fails where Glance says anything else of the frame that p begins than
// ParseHeader, and returns whether it says anything.
func glanced(t *testing.T, p []byte) bool {
	t.Helper()
	kind, payload, whole, ok := Glance(binary.BigEndian.Uint32(p))
	if !ok {
		return false
	}
	p = append(bytes.Clone(p), make([]byte, MaxHeader)...)
	h, n, err := ParseHeader(p)
	empty, _, wrong := ParseHeader(kind.Empty())
	if err != nil {
		// That is for its caller to know, who has to judge the kind: where nothing is
		// wrong with it the length is not either, unless it is that of a control frame.
		if wrong == nil && !empty.Opcode.Control() {
			t.Fatalf("% x: kind %+v, %d of %d bytes, and not %v", p, empty, payload, whole, err)
		}
		return true
	}
	h.Key, empty.Length = [4]byte{}, h.Length
	if wrong != nil || empty != h || payload != int(h.Length) || whole != n+payload {
		t.Fatalf("% x: kind %+v (%v), %d of %d bytes; want %+v, header of %d", p, empty, wrong, payload, whole, h, n)
	}
	return true
}

func TestGlanceSaysWhatParseHeaderSays(t *testing.T) {
	for first := range 256 {
		for second := range 256 {
			short := []byte{byte(first), byte(second)}
			for _, length := range [][]byte{{0, 0}, {0, 125}, {0, 126}, {1, 0}, {0xff, 0xff}} {
				said := glanced(t, append(short, length...))
				if want := second&lenBits < 126 || second&lenBits == 126 && (length[0] > 0 || length[1] > 125); said != want {
					t.Fatalf("% x % x: anything is said: %v", short, length, said)
				}
			}
		}
	}
}

func FuzzGlance(f *testing.F) {
	for _, seed := range [][]byte{{0x81, 0, 0, 0}, {0x81, 0x85, 1, 2}, {0x82, 126, 1, 0}, {0x82, 0xfe, 0, 1}, {0x82, 127, 0, 0}, {0x8b, 0, 0, 0}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) >= 4 {
			glanced(t, p)
		}
	})
}
