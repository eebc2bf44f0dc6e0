// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"testing"
)

func TestParseHeaderReadsEveryLengthAndFlag(t *testing.T) {
	for name, tc := range map[string]struct {
		bytes []byte
		want  Header
		size  int
	}{
		"empty text":          {[]byte{0x81, 0}, Header{Fin: true, Opcode: Text}, 2},
		"binary, not fin":     {[]byte{0x02, 5}, Header{Opcode: Binary, Length: 5}, 2},
		"all reserved bits":   {[]byte{0xf2, 5}, Header{Fin: true, RSV: 0x70, Opcode: Binary, Length: 5}, 2},
		"continuation":        {[]byte{0x80, 125}, Header{Fin: true, Length: 125}, 2},
		"16-bit length":       {[]byte{0x81, 126, 0, 126}, Header{Fin: true, Opcode: Text, Length: 126}, 4},
		"longest 16-bit":      {[]byte{0x81, 126, 0xff, 0xff}, Header{Fin: true, Opcode: Text, Length: 65535}, 4},
		"shortest 64-bit":     {[]byte{0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}, Header{Fin: true, Opcode: Text, Length: 65536}, 10},
		"longest 64-bit":      {[]byte{0x81, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255}, Header{Fin: true, Opcode: Text, Length: 1<<63 - 1}, 10},
		"masked":              {[]byte{0x81, 0x81, 1, 2, 3, 4}, Header{Fin: true, Opcode: Text, Masked: true, Key: [4]byte{1, 2, 3, 4}, Length: 1}, 6},
		"masked 64-bit":       {[]byte{0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 9, 8, 7, 6}, Header{Fin: true, Opcode: Binary, Masked: true, Key: [4]byte{9, 8, 7, 6}, Length: 65536}, 14},
		"longest ping":        {[]byte{0x89, 125}, Header{Fin: true, Opcode: Ping, Length: 125}, 2},
		"pong with a payload": {[]byte{0x8a, 3}, Header{Fin: true, Opcode: Pong, Length: 3}, 2},
		"close":               {[]byte{0x88, 2}, Header{Fin: true, Opcode: Close, Length: 2}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			got, size, err := ParseHeader(append(bytes.Clone(tc.bytes), "payload"...))
			if err != nil || got != tc.want || size != tc.size {
				t.Errorf("got %+v, %d bytes, %v; want %+v, %d bytes", got, size, err, tc.want, tc.size)
			}
			for n := range tc.bytes {
				if _, _, err := ParseHeader(tc.bytes[:n]); !errors.Is(err, ErrShort) {
					t.Errorf("the first %d bytes: got %v, want ErrShort", n, err)
				}
			}
			if back := AppendHeader([]byte("x"), tc.want); string(back) != "x"+string(tc.bytes) {
				t.Errorf("AppendHeader made % x of it", back[1:])
			}
		})
	}
}

func TestParseHeaderRefusesWhatNoEndpointMaySend(t *testing.T) {
	for name, b := range map[string][]byte{
		"unknown data opcode":            {0x83, 0},
		"unknown control opcode":         {0x8b, 0},
		"last opcode":                    {0x8f, 0},
		"fragmented ping":                {0x09, 0},
		"fragmented close":               {0x08, 2},
		"ping of 126 bytes":              {0x89, 126},
		"masked close of 126 bytes":      {0x88, 0xff},
		"16-bit length that fits 7 bits": {0x82, 126, 0, 125},
		"64-bit length that fits 16":     {0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
		"64-bit length with its top bit": {0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := ParseHeader(b)
			var violation ProtocolError
			if !errors.As(err, &violation) {
				t.Errorf("got %v, want a ProtocolError", err)
			}
		})
	}
}

func TestMaskIsItsOwnInverse(t *testing.T) {
	key := [4]byte{0xde, 0xad, 0xbe, 0xef}
	p := []byte("some payload that is no multiple of four.")
	Mask(key, p)
	if p[0] != 's'^0xde || p[5] != 'p'^0xad {
		t.Errorf("masked to % x", p)
	}
	Mask(key, p)
	if string(p) != "some payload that is no multiple of four." {
		t.Errorf("unmasked to %q", p)
	}
}

// FuzzParseHeader: a header that parses is the one that AppendHeader writes;
// ErrShort is returned exactly where other bytes behind p would make a header or
// a violation of it; nothing panics.
func FuzzParseHeader(f *testing.F) {
	for _, seed := range [][]byte{
		{}, {0x81}, {0x81, 0}, {0x81, 0x85, 1, 2, 3, 4}, {0x82, 126, 1, 0}, {0x82, 126, 0, 1},
		{0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}, {0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3}, {0x09, 0}, {0x8b, 0}, {0xf1, 5},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		h, n, err := ParseHeader(p)
		switch {
		case err == nil:
			if n > len(p) || n > MaxHeader {
				t.Fatalf("header of %d bytes in %d", n, len(p))
			}
			if back := AppendHeader(nil, h); !bytes.Equal(back, p[:n]) {
				t.Fatalf("% x parsed to %+v, which is written % x", p[:n], h, back)
			}
			if _, _, err := ParseHeader(p[:n-1]); !errors.Is(err, ErrShort) {
				t.Fatalf("without its last byte: %v", err)
			}
		case errors.Is(err, ErrShort):
			if len(p) >= MaxHeader {
				t.Fatalf("%d bytes are too short", len(p))
			}
			// A length that is legal in every form.
			rest := []byte{0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1}
			if _, _, err := ParseHeader(append(bytes.Clone(p), rest...)); errors.Is(err, ErrShort) {
				t.Fatalf("% x is short whatever follows", p)
			}
		default:
			var violation ProtocolError
			if !errors.As(err, &violation) {
				t.Fatalf("error %v", err)
			}
			if _, _, later := ParseHeader(append(bytes.Clone(p), make([]byte, MaxHeader)...)); !errors.As(later, &violation) {
				t.Fatalf("% x is a violation (%v), but not with more bytes (%v)", p, err, later)
			}
		}
	})
}
