// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// pinged returns the payload of the one ping of ours that is written to a side.
func (h *harness) pinged(to Side) string {
	h.t.Helper()
	got := describe(h.written(to))
	if len(got) != 1 || !strings.HasPrefix(got[0], "ping ") || len(got[0]) != len("ping ")+8 {
		h.t.Fatalf("to the %s: got %q, want a ping with 8 bytes", to, got)
	}
	return got[0][len("ping "):]
}

func TestPongsOfOurPingsAreSwallowed(t *testing.T) {
	for _, side := range bothSides {
		h := open(t, func(s *Settings) { s.LostTimeout = 10 * time.Second })
		h.receive(side.Other(), text(side.Other(), "so that only this side is silent"))
		h.written(side)
		h.wait(5 * time.Second)
		h.receive(side, pong(side, h.pinged(side)))
		h.written(side.Other()) // its own ping
		h.receive(side, text(side, "x"))
		h.want(side.Other(), "text x")
	}
}

func TestPongsOfEarlierPingsOfOursAreSwallowedToo(t *testing.T) {
	h := open(t, nil)
	h.sendPing(Client)
	first := h.pinged(Client)
	h.sendPing(Client)
	second := h.pinged(Client)
	if first == second {
		t.Error("two pings with one payload")
	}
	h.receive(Client, pong(Client, first), pong(Client, second), pong(Client, second))
	h.want(Upstream)
}

func TestPingsOfOursCannotBeForeseen(t *testing.T) {
	h := open(t, nil)
	h.sendPing(Client)
	h.sendPing(Upstream)
	if h.pinged(Client) == h.pinged(Upstream) {
		t.Error("both legs were pinged with the same payload")
	}
}

func TestPingsAndPongsOfThePeersCross(t *testing.T) {
	for _, from := range bothSides {
		h := open(t, nil)
		h.receive(from, ping(from, "are you there"), pong(from, "by the way"))
		h.want(from.Other(), "ping are you there", "pong by the way")
		h.receive(from.Other(), pong(from.Other(), "are you there"))
		h.want(from, "pong are you there")
	}
}

func TestAPingThatOursHasOvertakenIsAnswered(t *testing.T) {
	for _, from := range bothSides {
		to := from.Other()
		h := open(t, nil)
		h.receive(from, ping(from, "theirs"))
		h.written(to)
		h.sendPing(to)
		h.receive(to, pong(to, h.pinged(to))) // The peer answers the latest alone.
		h.want(from, "pong theirs")
	}
}

func TestAPingBehindOursIsLeftToItsPeer(t *testing.T) {
	h := open(t, nil)
	h.sendPing(Upstream)
	ours := h.pinged(Upstream)
	h.receive(Client, ping(Client, "theirs"))
	h.want(Upstream, "ping theirs")
	h.receive(Upstream, pong(Upstream, ours))
	h.want(Client)
	h.receive(Upstream, pong(Upstream, "theirs"))
	h.want(Client, "pong theirs")
}

func TestAPingThatWasAnsweredIsNotAnsweredAgain(t *testing.T) {
	h := open(t, nil)
	h.receive(Client, ping(Client, "theirs"))
	h.written(Upstream)
	h.sendPing(Upstream)
	h.receive(Upstream, pong(Upstream, "theirs"), pong(Upstream, h.pinged(Upstream)))
	h.want(Client, "pong theirs")
}

func TestPingsOfAHeldClientAreAnsweredAtOnce(t *testing.T) {
	h := held(t, nil)
	h.receive(Client, text(Client, "kept"), ping(Client, "still there?"))
	h.want(Client, "pong still there?")
	h.attach()
	h.want(Upstream, "text kept")
	h.receive(Client, ping(Client, "and now?"))
	h.want(Upstream, "ping and now?")
}

func TestAClientThatPingsAndDoesNotReadWhileHeldFillsNoMemory(t *testing.T) {
	h := held(t, nil)
	h.receive(Client, ping(Client, "first"))
	b := h.take(Client) // The client does not read on.
	for i := range 10000 {
		h.receive(Client, ping(Client, fmt.Sprint("number ", i)))
	}
	if n := h.legs[Client].out.queue.size(); n > 200 {
		t.Errorf("%d bytes wait", n)
	}
	h.wrote(Client, len(b), false)
	h.want(Client, "pong number 9999")
}

func TestAPingThatTheLostUpstreamHadNotAnsweredIsAnswered(t *testing.T) {
	h := open(t, reconnecting)
	h.receive(Client, ping(Client, "are you there"))
	h.want(Upstream, "ping are you there")
	h.lose(Upstream, BrokenSocket)
	h.want(Client, "pong are you there")
	h.attach()
	h.want(Upstream)
}

func TestControlFramesThatWereNotWrittenAreNotForTheNextUpstream(t *testing.T) {
	h := open(t, reconnecting)
	h.receive(Client, text(Client, "a"), ping(Client, "old"), pong(Client, "old too"), text(Client, "b"))
	h.lose(Upstream, BrokenSocket)
	h.receive(Client, pong(Client, "while away"))
	h.attach()
	h.want(Upstream, "text a", "text b")
}

func TestAPongDoesNotOvertakeWhatWasKept(t *testing.T) {
	h := held(t, nil)
	h.receive(Client, text(Client, "kept"))
	h.attach()
	h.receive(Client, pong(Client, "was being read when the upstream came"))
	h.want(Upstream, "text kept")
}

func TestStalePongsDoNotReachTheNextUpstream(t *testing.T) {
	for name, tc := range map[string]struct{ before, after, want []string }{
		"one":                           {[]string{"a"}, []string{"a"}, nil},
		"two":                           {[]string{"a", "b"}, []string{"a", "b"}, nil},
		"two with one payload":          {[]string{"", ""}, []string{"", ""}, nil},
		"all but those of the next one": {[]string{"a", "b"}, []string{"a", "b", "of the next"}, []string{"pong of the next"}},
		"only the latest is answered":   {[]string{"a", "b"}, []string{"of the next"}, []string{"pong of the next"}},
		"the payload is used again":     {[]string{"of the next"}, []string{"of the next"}, []string{"pong of the next"}},
		"unasked, when it is over":      {[]string{"a"}, []string{"a", "of the next", "unasked"}, []string{"pong of the next", "pong unasked"}},
		"unasked, with none to come":    {nil, []string{"unasked"}, []string{"pong unasked"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, reconnecting)
			for _, payload := range tc.before {
				h.receive(Upstream, ping(Upstream, payload))
			}
			h.written(Client)
			h.lose(Upstream, EndOfStream)
			h.attach()
			if slices.Contains(tc.after, "of the next") {
				h.receive(Upstream, ping(Upstream, "of the next"))
			}
			for _, payload := range tc.after {
				h.receive(Client, pong(Client, payload))
			}
			h.want(Upstream, tc.want...)
		})
	}
}
