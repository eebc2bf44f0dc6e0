// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// FuzzReceive feeds arbitrary bytes to one side of an open connection, cut into
// reads of changing size, with the other side lost and replaced on the way. Nothing
// panics, and what both sides get are legal frames.
func FuzzReceive(f *testing.F) {
	for _, from := range bothSides {
		f.Add(from == Client, false, uint8(3), conversation(from))
		f.Add(from == Client, true, uint8(200), slices.Concat(conversation(from), closing(from, 1012, "x")))
		for _, bad := range violations(from) {
			f.Add(from == Client, true, uint8(7), bad)
		}
	}
	f.Fuzz(func(t *testing.T, client, extensions bool, size uint8, stream []byte) {
		from := Upstream
		if client {
			from = Client
		}
		h := openWith(t, Terms{Extensions: extensions}, func(s *Settings) {
			s.AutoReconnect, s.BufferBytes, s.ReplayMessages, s.MaxMessageBytes = true, 300, 1, 1000
		})
		var got [2]legality
		for side := range got {
			got[side] = legality{masked: Side(side) == Upstream, extensions: extensions}
		}
		for i, part := range slices.Collect(slices.Chunk(stream, int(size)+1)) {
			h.receive(from, part)
			for _, side := range bothSides {
				got[side].read(t, h.written(side))
			}
			if i%5 == 4 && h.Phase() == Open {
				h.lose(Upstream, EndOfStream)
			}
			if i%5 == 1 && h.Attached(h.now) {
				got[Upstream] = legality{masked: true, extensions: extensions}
			}
			h.now = h.now.Add(1e10)
		}
	})
}

// legality reads what a peer gets, and fails on what no peer may send.
type legality struct {
	masked, extensions bool
	rest               []byte
	within, closed     bool
}

func (l *legality) read(t *testing.T, b []byte) {
	t.Helper()
	l.rest = append(l.rest, b...)
	for len(l.rest) > 0 {
		h, n, err := wire.ParseHeader(l.rest)
		if err == wire.ErrShort { //nolint:errorlint // it is never wrapped
			t.Fatal("half a header was passed on")
		}
		switch {
		case err != nil:
			t.Fatal(err)
		case l.closed:
			t.Fatal("something follows a close frame")
		case h.Masked != l.masked, h.RSV != 0 && !l.extensions:
			t.Fatalf("header %+v", h)
		case !h.Opcode.Control() && (h.Opcode == wire.Continuation) != l.within:
			t.Fatalf("opcode %d, within a message: %v", h.Opcode, l.within)
		}
		if uint64(len(l.rest)-n) < h.Length {
			if h.Opcode.Control() {
				t.Fatal("half a control frame was passed on")
			}
			return
		}
		payload := l.rest[n : n+int(h.Length)]
		l.rest = l.rest[n+len(payload):]
		if !h.Opcode.Control() {
			l.within = !h.Fin
		}
		if h.Opcode == wire.Close {
			l.closed = true
			payload = slices.Clone(payload)
			if h.Masked {
				wire.Mask(h.Key, payload)
			}
			if _, _, err := wire.ParseClose(payload); err != nil {
				t.Fatal(err)
			}
		}
	}
}
