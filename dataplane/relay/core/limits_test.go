// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"strings"
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

func TestAMessageThatIsTooBigEndsWith1009(t *testing.T) {
	limit := func(s *Settings) { s.MaxMessageBytes = 10 }
	for _, from := range bothSides {
		for name, frames := range map[string][]byte{
			"one frame":                   text(from, "12345678901"),
			"only its header":             text(from, "12345678901")[:len(text(from, ""))],
			"announced to be very big":    wire.AppendHeader(nil, wire.Header{Opcode: wire.Binary, Masked: from == Client, Length: 1<<63 - 1}),
			"fragments":                   append(begin(from, "12345"), last(from, "678901")...),
			"fragments with a ping":       append(append(begin(from, "1234567890"), ping(from, "hi")...), last(from, "1")...),
			"behind one that is not":      append(text(from, "1234567890"), text(from, "12345678901")...),
			"empty fragments, then a big": append(append(begin(from, ""), middle(from, "")...), last(from, "12345678901")...),
		} {
			h := open(t, limit)
			for _, b := range frames {
				h.receive(from, []byte{b})
			}
			h.wantEnd(ByProxy, CauseMessageTooBig, 1009)
			got := describe(h.written(from))
			if want := "close 1009 message too big"; got[len(got)-1] != want {
				t.Errorf("%s from the %s: it got %q", name, from, got)
			}
			other := describe(h.written(from.Other()))
			want := map[Side]string{Client: "close 1001 client: message too big", Upstream: "close 1011 upstream: message too big"}[from]
			if other[len(other)-1] != want {
				t.Errorf("%s from the %s: the other side got %q", name, from, other)
			}
		}
		h := open(t, limit)
		h.receive(from, text(from, "1234567890"), begin(from, "12345"), last(from, "67890"), ping(from, "longer than ten"))
		h.wantPhase(Open)
	}
}

func TestALimitIsLiftedAndLoweredLive(t *testing.T) {
	h := open(t, func(s *Settings) { s.MaxMessageBytes = 10 })
	h.apply(func(s *Settings) { s.MaxMessageBytes = 0 })
	h.receive(Client, text(Client, strings.Repeat("x", 100000)))
	h.wantPhase(Open)
	h.apply(func(s *Settings) { s.MaxMessageBytes = 10 })
	h.receive(Client, text(Client, strings.Repeat("x", 11)))
	h.wantPhase(Closing)
}

func TestTooManyMessagesPerSecondEndWith1008(t *testing.T) {
	h := open(t, func(s *Settings) { s.MessagesPerSecond = 5 })
	for range 5 {
		h.receive(Client, text(Client, "x"))
	}
	h.wantPhase(Open)
	h.written(Upstream)
	h.receive(Client, text(Client, "one too many"))
	h.wantEnd(ByProxy, CauseRateLimited, 1008)
	h.want(Client, "close 1008 too many messages per second")
	h.want(Upstream, "close 1001 client: too many messages per second")
}

// A driver reads the clock before it looks at its sockets, and a connection that is
// opened meanwhile, or is given a limit, reads it again.
func TestTheFirstMessagesMayComeWithAnOlderTime(t *testing.T) {
	opened := open(t, func(s *Settings) { s.MessagesPerSecond = 1 })
	limited := open(t, nil)
	limited.apply(func(s *Settings) { s.MessagesPerSecond = 1 })
	for _, h := range []*harness{opened, limited} {
		h.Receive(h.now.Add(-time.Millisecond), Client, text(Client, "x"))
		h.wantPhase(Open)
		h.receive(Client, text(Client, "one too many"))
		h.wantEnd(ByProxy, CauseRateLimited, 1008)
	}
}

func TestTheAllowedRateIsAllowedForEver(t *testing.T) {
	h := open(t, func(s *Settings) { s.MessagesPerSecond = 5 })
	for range 1000 {
		h.receive(Client, begin(Client, "x"), middle(Client, "y"), ping(Client, ""), last(Client, "z"))
		for range 100 {
			h.receive(Upstream, text(Upstream, "the upstream is not limited"))
		}
		h.wait(200 * time.Millisecond)
	}
	h.wantPhase(Open)
}

func TestAHigherRateIsAllowedAtOnce(t *testing.T) {
	h := open(t, func(s *Settings) { s.MessagesPerSecond = 1 })
	h.receive(Client, text(Client, "1"))
	h.apply(func(s *Settings) { s.MessagesPerSecond = 3 })
	h.receive(Client, text(Client, "2"), text(Client, "3"), text(Client, "4"))
	h.wantPhase(Open)
	h.receive(Client, text(Client, "5"))
	h.wantPhase(Closing)
}

func TestAConnectionThatIsTooOldEndsWith1001(t *testing.T) {
	for name, start := range map[string]func(t testing.TB, change func(*Settings)) *harness{"open": open, "held": held} {
		h := start(t, func(s *Settings) { s.MaxAge, s.ReconnectDelay, s.ReconnectAttempts = time.Minute, time.Hour, 1000 })
		h.DialFailed(h.now, false, "refused")
		h.look()
		h.wait(time.Minute - 1)
		if h.Phase() >= Closing {
			t.Fatal(name, "is closing before its time")
		}
		h.wait(1)
		h.wantEnd(ByProxy, CauseMaxAge, 1001)
		h.want(Client, "close 1001 maximum connection age reached")
	}
}

func TestAMaximumAgeThatIsSetOnALiveConnectionCountsFromItsStart(t *testing.T) {
	h := open(t, nil)
	h.wait(time.Hour)
	h.apply(func(s *Settings) { s.MaxAge = time.Minute })
	h.wait(0)
	h.wantEnd(ByProxy, CauseMaxAge, 1001)
}
