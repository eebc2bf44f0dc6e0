// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// A socket takes any part of what there is, and the driver's buffer is used for
// something else at once: the peer gets the same bytes.
func TestWhatASocketDidNotTakeIsKept(t *testing.T) {
	for _, autoReconnect := range []bool{false, true} {
		for _, from := range bothSides {
			all := slices.Concat(text(from, "one"), ping(from, "hi"), begin(from, "two"), last(from, ""), text(from, strings.Repeat("x", 200)), begin(from, "rest"))
			for first := range all {
				for _, second := range []int{0, 1, 7, len(all)} {
					h := open(t, func(s *Settings) { s.AutoReconnect = autoReconnect })
					buffer := slices.Clone(all)
					h.Receive(h.now, from, buffer)
					to := from.Other()
					got := slices.Concat(h.Take(to)...)[:first]
					h.Kept(to, first)
					clear(buffer)
					rest := slices.Concat(h.Rest(to)...)
					n := min(second, len(rest))
					got = append(got, rest[:n]...)
					h.Kept(to, n)
					rest = slices.Concat(h.Rest(to)...)
					got = append(got, rest...)
					h.wrote(to, len(rest), false)
					if !bytes.Equal(got, all) {
						t.Fatalf("first %d, then %d bytes: the %s got %q", first, n, to, got)
					}
					if h.Pending(to) || h.Rest(to) != nil {
						t.Fatalf("first %d, then %d bytes: something is left", first, n)
					}
				}
			}
		}
	}
}

// The upstream takes a part, a little more, and is lost: the next one gets every
// message that was not handed over whole, from its start.
func TestAMessageThatWasTakenInPartIsToldWhole(t *testing.T) {
	one, two, three := text(Client, "one"), text(Client, "two"), text(Client, "three")
	all := slices.Concat(one, two, ping(Client, "hi"), three)
	for first := range all {
		for second := range len(all) - first {
			h := open(t, reconnecting)
			h.receive(Client, all)
			h.take(Upstream)
			h.Kept(Upstream, first)
			h.lose(Upstream, BrokenSocket)
			h.wrote(Upstream, second, true)
			h.attach()
			var want []string
			for i, end := range []int{len(one), len(one) + len(two), len(all)} {
				if first+second < end {
					want = append(want, "text "+[]string{"one", "two", "three"}[i])
				}
			}
			if got := describe(h.written(Upstream)); !slices.Equal(got, want) {
				t.Fatalf("%d and %d bytes were taken: the next upstream got %q, want %q", first, second, got, want)
			}
		}
	}
}

// AutoReconnect may come while a socket is blocked, when a part of a message was
// handed over and not kept.
func TestAMessageThatWasNotKeptCannotBeHealed(t *testing.T) {
	h := open(t, nil)
	h.receive(Client, text(Client, "one"), text(Client, "two"))
	h.take(Upstream)
	h.Kept(Upstream, len(text(Client, "one"))+8)
	h.apply(func(s *Settings) { s.AutoReconnect = true })
	h.lose(Upstream, EndOfStream)
	h.wrote(Upstream, 0, true)
	h.wantEnd(ByNetwork, CauseUpstreamLost, wire.CloseServiceRestart)

	h = open(t, nil)
	h.receive(Client, text(Client, "one"), text(Client, "two"))
	h.take(Upstream)
	h.Kept(Upstream, len(text(Client, "one")))
	h.apply(func(s *Settings) { s.AutoReconnect = true })
	h.lose(Upstream, EndOfStream)
	h.wrote(Upstream, 0, true)
	h.attach()
	h.want(Upstream, "text two")
}

// A message of which a socket took a part and that is larger than the buffer is not
// kept: the loss of the upstream that took it cannot be healed.
func TestAMessageThatWasTakenInPartIsKeptUpToTheBuffer(t *testing.T) {
	message := text(Client, strings.Repeat("x", 300))
	for taken, healed := range map[int]bool{100: true, 101: false} {
		h := open(t, func(s *Settings) { s.AutoReconnect, s.BufferBytes = true, 100 })
		h.receive(Client, message)
		h.take(Upstream)
		h.Kept(Upstream, taken)
		if n := len(h.hold.partial); n > 100 {
			t.Errorf("of %d bytes that were taken %d are kept in a buffer of 100", taken, n)
		}
		h.lose(Upstream, BrokenSocket)
		h.wrote(Upstream, 0, true)
		if !healed {
			h.wantEnd(ByNetwork, CauseUpstreamLost, wire.CloseServiceRestart)
			continue
		}
		h.attach()
		if got := h.written(Upstream); !bytes.Equal(got, message) {
			t.Errorf("%d bytes were taken: the next upstream got %d of %d", taken, len(got), len(message))
		}
	}
}

// What is kept is exactly what was not taken, but for the begin of a header or a
// control frame.
func TestNoMoreIsKeptThanNeeded(t *testing.T) {
	for _, to := range bothSides {
		h := open(t, nil)
		h.receive(to.Other(), text(to.Other(), strings.Repeat("x", 10000)))
		h.take(to)
		h.Kept(to, 9000)
		if n := cap(h.legs[to].out.ready()[0]); n > 1100 {
			t.Errorf("to the %s: %d bytes are kept of about 1000", to, n)
		}
	}
}

// Neither one that an idle connection would keep, nor one for everybody after it.
func TestAnIdleConnectionHasNoList(t *testing.T) {
	h := open(t, nil)
	var many []byte
	for range 1000 {
		many = append(append(many, ping(Client, "x")...), text(Client, "y")...)
	}
	for range 3 {
		h.receive(Client, many)
		h.written(Upstream)
		if h.legs[Upstream].out.batch != nil {
			t.Error("an idle connection has one")
		}
		if next := batches.Get().(*batch); len(next.pieces) > 0 || cap(next.pieces) > maxPieces {
			t.Errorf("the next one has %d pieces, and room for %d", len(next.pieces), cap(next.pieces))
		}
	}
}

// A flood of small frames is one piece for the socket, not one each.
func TestFramesThatFollowEachOtherAreOnePiece(t *testing.T) {
	for _, from := range bothSides {
		var many []byte
		for range 1000 {
			many = append(append(many, ping(from, "x")...), text(from, "y")...)
		}
		h := open(t, nil)
		h.Receive(h.now, from, many)
		batch := h.Take(from.Other())
		if len(batch) != 1 || !bytes.Equal(batch[0], many) {
			t.Errorf("from the %s: %d pieces", from, len(batch))
		}
		h.wrote(from.Other(), len(many), false)
	}
}

// A batch that no upstream's socket took anything of, or only whole messages and
// control frames, is no message that was handed over in part: when autoReconnect is
// switched on while it waits, the loss of that upstream can be healed.
func TestABatchThatWaitsIsHealableFromWhenAutoReconnectIsOn(t *testing.T) {
	one, two, three := text(Client, "one"), text(Client, "two"), text(Client, "three")
	for what, taken := range map[string]int{
		"nothing":                    0,
		"a message":                  len(one),
		"a message and a ping":       len(one) + len(ping(Client, "ping")),
		"a part of the next header":  len(one) + len(ping(Client, "ping")) + 1,
		"a part of a control header": len(one) + 1,
	} {
		h := open(t, nil)
		h.receive(Client, one, ping(Client, "ping"), two, three)
		h.take(Upstream)
		h.Kept(Upstream, taken)
		h.apply(reconnecting)
		h.wrote(Upstream, 0, true)
		h.lose(Upstream, BrokenSocket)
		if h.Phase() != Reconnecting {
			t.Errorf("%s was taken: phase %d, %+v", what, h.Phase(), h.End())
			continue
		}
		h.attach()
		want := []string{"text one", "text two", "text three"}
		if taken >= len(one) {
			want = want[1:]
		}
		h.want(Upstream, want...)
	}
}
