// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// talk is what a client says in the tests below: messages in one frame and in
// several, empty ones, a ping between fragments, and a header of every size.
var talk = slices.Concat(
	text(Client, "1"), begin(Client, "2"), ping(Client, "p"), last(Client, "!"), text(Client, ""), begin(Client, ""), middle(Client, "3"), last(Client, ""),
	text(Client, strings.Repeat("4", 126)), text(Client, "5"),
)

// messagesOf returns the whole messages of a stream to an upstream, and whether
// it ends within one.
func messagesOf(stream []byte) (messages []string, within bool) {
	message := ""
	for len(stream) > 0 {
		h, n, err := wire.ParseHeader(stream)
		if err != nil || uint64(len(stream)-n) < h.Length {
			return messages, true
		}
		frame := stream[:n+int(h.Length)]
		stream = stream[len(frame):]
		if h.Opcode.Control() {
			continue
		}
		message += string(frame)
		if h.Fin {
			messages = append(messages, message)
			message = ""
		}
	}
	return messages, message != ""
}

// TestAnUpstreamIsLostAtEveryByte loses the upstream after each byte of what the
// client says, with each number of bytes taken by the socket and some of those not
// acknowledged, by a driver that waits for the socket and by one that does not. What
// the two upstreams got is what the client said: whole, in order, once, and nothing
// missing that is not counted.
func TestAnUpstreamIsLostAtEveryByte(t *testing.T) {
	said, _ := messagesOf(talk)
	for at := range len(talk) + 1 {
		for taken := 0; ; taken++ {
			h := open(t, reconnecting)
			h.receive(Client, talk[:at])
			batch := h.take(Upstream)
			if taken > len(batch) {
				break
			}
			for _, unacked := range []int{0, taken / 2, taken} {
				for _, waits := range []bool{true, false} {
					if !lostAt(t, said, at, taken, unacked, waits) {
						return
					}
				}
			}
		}
	}
}

// lostAt loses the upstream in one place. A driver that waits knows of a failed
// write first; one that does not had the rest kept, twice, and lost the socket.
func lostAt(t *testing.T, said []string, at, taken, unacked int, waits bool) bool {
	t.Helper()
	h := open(t, reconnecting)
	buffer := slices.Clone(talk[:at])
	h.receive(Client, buffer)
	batch := h.take(Upstream)
	if waits || taken == len(batch) {
		h.wrote(Upstream, taken, taken < len(batch))
		h.lose(Upstream, BrokenSocket)
		h.Detached(unacked)
	} else {
		h.Kept(Upstream, taken/3)
		clear(buffer)
		h.Kept(Upstream, taken-taken/3)
		h.lose(Upstream, BrokenSocket)
		h.Detached(unacked)
		h.wrote(Upstream, 0, true)
	}
	h.receive(Client, talk[at:])
	h.attach()
	first, _ := messagesOf(batch[:taken-unacked])
	second, within := messagesOf(h.written(Upstream))
	got := slices.Concat(first, second)
	// What is missing was in the middle: behind what the first one acknowledged,
	// before what the second one got.
	missing := len(said) - len(got)
	ok := missing >= 0 && !within && slices.Equal(said[:len(first)], first) && slices.Equal(said[len(said)-len(second):], second)
	if !ok || uint64(missing) > h.PossiblyLost() || unacked == 0 && h.PossiblyLost() > 0 {
		t.Errorf("lost after %d bytes, %d taken, %d of them not acknowledged, the driver waits: %v: the upstreams got\n  %q\n  %q, %d possibly lost", at, taken, unacked, waits, first, second, h.PossiblyLost())
		return false
	}
	return true
}

// TestTheClientIsHeldWhereverItsUpstreamIsLostBetweenMessages loses the upstream
// after each byte of what it says: between messages the client is held, within one
// it is told 1012, or is cut off where a frame has begun.
func TestTheClientIsHeldWhereverItsUpstreamIsLostBetweenMessages(t *testing.T) {
	stream := slices.Concat(text(Upstream, "1"), begin(Upstream, "2"), ping(Upstream, "p"), last(Upstream, "!"), text(Upstream, ""), text(Upstream, strings.Repeat("4", 126)))
	for at := range len(stream) + 1 {
		h := open(t, reconnecting)
		h.receive(Upstream, stream[:at])
		got := h.written(Client)
		_, within := messagesOf(got)
		h.lose(Upstream, EndOfStream)
		switch rest := describe(h.written(Client)); {
		case !within && h.Phase() != Reconnecting:
			t.Errorf("after %d bytes: phase %d, %+v", at, h.Phase(), h.End())
		case within && h.Phase() < Closing:
			t.Errorf("after %d bytes, within a message: phase %d", at, h.Phase())
		case within && !h.End().Cut && (len(rest) != 1 || !strings.HasPrefix(rest[0], "close 1012 ")):
			t.Errorf("after %d bytes, within a message: the client got %q", at, rest)
		case within && h.End().Cut && len(rest) > 0:
			t.Errorf("after %d bytes, within a frame: the client got %q", at, rest)
		}
	}
}
