// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// conversation is every kind of frame that is forwarded.
func conversation(from Side) []byte {
	return slices.Concat(
		text(from, "hello"), text(from, ""),
		begin(from, "in "), ping(from, "between"), middle(from, ""), middle(from, "three "), pong(from, ""), last(from, "parts"),
		frame(from, true, wire.Binary, string(make([]byte, 300))),
		begin(from, ""), last(from, ""),
	)
}

func TestFramesCrossUnchangedWhereverTheBytesAreSplit(t *testing.T) {
	for _, from := range bothSides {
		stream := conversation(from)
		for at := range stream {
			h := open(t, nil)
			h.receive(from, stream[:at])
			first := h.written(from.Other())
			h.receive(from, stream[at:])
			if got := append(first, h.written(from.Other())...); !bytes.Equal(got, stream) {
				t.Fatalf("from the %s, split at byte %d:\n got % x\nwant % x", from, at, got, stream)
			}
			if h.Messages(from) != 5 || h.Bytes(from) != uint64(len(stream)) {
				t.Fatalf("%d messages, %d bytes", h.Messages(from), h.Bytes(from))
			}
		}
	}
}

func TestFramesCrossUnchangedByteByByte(t *testing.T) {
	for _, from := range bothSides {
		for name, change := range map[string]func(*Settings){"plain": nil, "retaining": reconnecting} {
			stream := conversation(from)
			h := open(t, change)
			var got []byte
			for i := range stream {
				h.receive(from, stream[i:i+1])
				got = append(got, h.written(from.Other())...)
			}
			if !bytes.Equal(got, stream) {
				t.Errorf("%s, from the %s: got % x\nwant % x", name, from, got, stream)
			}
		}
	}
}

func TestManyReceivesBeforeOneTakeKeepTheirOrder(t *testing.T) {
	stream := conversation(Client)
	h := open(t, nil)
	for part := range slices.Chunk(stream, 7) {
		h.receive(Client, part)
	}
	if got := h.written(Upstream); !bytes.Equal(got, stream) {
		t.Errorf("got % x\nwant % x", got, stream)
	}
}

func TestHeadersAndControlFramesAreNeverForwardedInPart(t *testing.T) {
	for name, f := range map[string][]byte{
		"ping":            ping(Client, "some payload"),
		"close":           closing(Client, 1000, "bye"),
		"empty pong":      pong(Client, ""),
		"header of 8":     text(Client, string(make([]byte, 200)))[:8],
		"header of 14":    text(Client, string(make([]byte, 70000)))[:14],
		"empty data":      text(Client, ""),
		"header and less": text(Client, "x")[:6],
	} {
		for at := 1; at < len(f); at++ {
			h := open(t, nil)
			h.receive(Client, text(Client, "before"), f[:at])
			h.want(Upstream, "text before")
			h.receive(Client, f[at:])
			if got := h.written(Upstream); !bytes.Equal(got, f) {
				t.Fatalf("%s, split at byte %d: got % x, want % x", name, at, got, f)
			}
		}
	}
}

func TestReservedBitsCrossWhereAnExtensionGivesThemAMeaning(t *testing.T) {
	for _, from := range bothSides {
		f := text(from, "compressed")
		f[0] |= 0x40
		h := openWith(t, Terms{Extensions: true}, nil)
		h.receive(from, f)
		if got := h.written(from.Other()); !bytes.Equal(got, f) {
			t.Errorf("from the %s: got % x, want % x", from, got, f)
		}
	}
}

func TestPayloadIsNotCopied(t *testing.T) {
	h := open(t, nil)
	p := text(Client, "the same memory")
	h.Receive(h.now, Client, p)
	if batch := h.Take(Upstream); len(batch) != 1 || &batch[0][0] != &p[0] {
		t.Error("the frame was copied")
	}
}

func TestMemoryOfALargeMessageIsThatOfOneRead(t *testing.T) {
	h := open(t, nil)
	f := text(Upstream, string(make([]byte, 1<<20)))
	for part := range slices.Chunk(f, 16<<10) {
		h.receive(Upstream, part)
		if n := len(h.written(Client)); n != len(part) {
			t.Fatalf("%d bytes of %d were passed on", n, len(part))
		}
	}
}

func TestSidesHaveNames(t *testing.T) {
	if got := fmt.Sprint(Client, Upstream, Client.Other(), Upstream.Other()); got != "client upstream upstream client" {
		t.Error(got)
	}
}
