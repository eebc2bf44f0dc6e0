// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"strings"
	"testing"
)

func replaying(n int) func(*Settings) {
	return func(s *Settings) { s.AutoReconnect, s.ReplayMessages = true, n }
}

func TestTheFirstMessagesAreSaidToEveryNewUpstream(t *testing.T) {
	h := open(t, replaying(2))
	h.receive(Client, begin(Client, "log"), ping(Client, "not this"), last(Client, "in"), text(Client, "subscribe"), text(Client, "3"))
	h.written(Upstream)
	for range 3 {
		h.lose(Upstream, EndOfStream)
		h.receive(Client, text(Client, "kept"))
		h.attach()
		h.want(Upstream, "text+ log", "more in", "text subscribe", "text kept")
		h.now = h.now.Add(1e10)
	}
	if h.PossiblyLost() != 0 {
		t.Errorf("%d possibly lost", h.PossiblyLost())
	}
}

func TestFirstMessagesThatNoUpstreamWasToldAreSaidOnce(t *testing.T) {
	h := open(t, replaying(2))
	h.receive(Client, text(Client, "login"))
	h.want(Upstream, "text login")
	h.receive(Client, text(Client, "subscribe"))
	h.lose(Upstream, EndOfStream)
	h.receive(Client, text(Client, "3"))
	h.attach()
	h.want(Upstream, "text login", "text subscribe", "text 3")
}

func TestAReplayThatIsCutOffIsSaidFromItsStart(t *testing.T) {
	h := open(t, replaying(2))
	h.receive(Client, text(Client, "login"), text(Client, "subscribe"))
	h.written(Upstream)
	h.lose(Upstream, EndOfStream)
	h.receive(Client, text(Client, "3"))
	h.attach()
	h.take(Upstream)
	h.lose(Upstream, BrokenSocket)
	h.wrote(Upstream, 15, true)
	h.attach()
	h.want(Upstream, "text login", "text subscribe", "text 3")
}

func TestNothingIsReplayedUnlessAskedFor(t *testing.T) {
	h := open(t, replaying(0))
	h.receive(Client, text(Client, "login"))
	h.written(Upstream)
	h.lose(Upstream, EndOfStream)
	h.attach()
	h.want(Upstream)
}

func TestMessagesTooLargeToReplayAreNotReconnectable(t *testing.T) {
	h := open(t, func(s *Settings) { s.AutoReconnect, s.ReplayMessages, s.BufferBytes = true, 2, 50 })
	h.receive(Client, text(Client, strings.Repeat("x", 30)))
	if ok, _ := h.Reconnectable(); !ok {
		t.Error("the first one fits")
	}
	h.receive(Client, text(Client, strings.Repeat("x", 30)))
	if ok, why := h.Reconnectable(); ok || why != NotReplayTooLarge {
		t.Error(ok, why)
	}
	if n := len(h.hold.replay) + len(h.hold.collected); n != 0 {
		t.Errorf("%d are kept nevertheless", n)
	}
	h.written(Upstream)
	h.lose(Upstream, EndOfStream)
	h.wantEnd(ByNetwork, CauseUpstreamLost, 1012)
}

func TestReplayMessagesRaisedTooLateIsNotReconnectable(t *testing.T) {
	h := open(t, replaying(1))
	h.receive(Client, text(Client, "1"), text(Client, "2"))
	h.written(Upstream)
	h.apply(replaying(2))
	if ok, why := h.Reconnectable(); ok || why != NotReplayUnknown {
		t.Error(ok, why)
	}
	h.receive(Client, text(Client, "3"))
	h.apply(replaying(1))
	if ok, why := h.Reconnectable(); !ok {
		t.Error(why)
	}
	h.written(Upstream)
	h.lose(Upstream, EndOfStream)
	h.attach()
	h.want(Upstream, "text 1")
}

func TestReplayMessagesRaisedInTimeIsObeyed(t *testing.T) {
	h := open(t, replaying(0))
	h.apply(replaying(1))
	h.receive(Client, text(Client, "login"))
	h.written(Upstream)
	h.apply(replaying(2))
	h.receive(Client, text(Client, "subscribe"))
	h.written(Upstream)
	h.lose(Upstream, EndOfStream)
	h.attach()
	h.want(Upstream, "text login", "text subscribe")
}

func TestReplayMessagesRaisedWithinAMessageKeepsNoHalfOfIt(t *testing.T) {
	h := open(t, replaying(0))
	h.receive(Client, begin(Client, "log"))
	h.apply(replaying(1))
	h.receive(Client, last(Client, "in"))
	if ok, why := h.Reconnectable(); ok || why != NotReplayUnknown {
		t.Error(ok, why)
	}
}

func TestReplayMessagesRaisedWhileTheClientIsHeldEndsIt(t *testing.T) {
	h := open(t, replaying(0))
	h.receive(Client, text(Client, "login"))
	h.written(Upstream)
	h.lose(Upstream, EndOfStream)
	h.apply(replaying(1))
	h.wantEnd(ByNetwork, CauseUpstreamLost, 1012)
}

func TestReplayMessagesLoweredBeforeTheReplayIsWritten(t *testing.T) {
	h := open(t, replaying(1))
	h.receive(Client, text(Client, "login"))
	h.written(Upstream)
	h.lose(Upstream, EndOfStream)
	h.attach()
	h.apply(replaying(0))
	if h.Take(Upstream) != nil {
		t.Error("something is to be written")
	}
	h.receive(Client, text(Client, "2"))
	h.apply(replaying(1))
	h.want(Upstream, "text 2")
}

func TestAFirstMessageThatIsTooLargeToKeepComesAfterThoseThatWereKept(t *testing.T) {
	h := open(t, func(s *Settings) { s.AutoReconnect, s.ReplayMessages, s.BufferBytes = true, 2, 60 })
	h.receive(Client, text(Client, "login"))
	h.want(Upstream, "text login")
	h.lose(Upstream, EndOfStream)
	long := strings.Repeat("x", 52) // fits into the buffer, but not together with the login
	h.receive(Client, text(Client, long))
	h.attach()
	h.want(Upstream, "text login", "text "+long)
	if ok, why := h.Reconnectable(); ok || why != NotReplayTooLarge {
		t.Errorf("reconnectable: %v, %q", ok, why)
	}
	h.lose(Upstream, EndOfStream)
	h.wantPhase(Closing)
}
