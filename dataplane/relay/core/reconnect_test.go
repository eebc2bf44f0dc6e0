// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"testing"
	"time"
)

func TestOnlySomeCloseCodesOfTheUpstreamAreHealed(t *testing.T) {
	for code, want := range map[int]bool{
		1000: false, 1001: true, 1002: false, 1003: false, 1005: false, 1007: false, 1008: false, 1009: false,
		1010: false, 1011: true, 1012: true, 1013: true, 1014: true, 3000: false, 4000: false, 4999: false,
	} {
		h := open(t, reconnecting)
		h.receive(Upstream, closing(Upstream, code, ""))
		if got := h.Phase() == Reconnecting; got != want {
			t.Errorf("code %d: held %v", code, got)
		}
		if !want {
			h.wantEnd(ByUpstream, CauseUpstreamClose, code)
			if got := h.written(Client); string(got) != string(closing(Upstream, code, "")) {
				t.Errorf("code %d: the client got % x", code, got)
			}
		}
	}
}

func TestWithoutAutoReconnectEveryLossEndsTheClient(t *testing.T) {
	h := open(t, nil)
	h.receive(Upstream, closing(Upstream, 1012, "restart"))
	h.wantEnd(ByUpstream, CauseUpstreamClose, 1012)
	h.want(Client, "close 1012 restart")

	h = open(t, nil)
	h.lose(Upstream, BrokenSocket)
	h.wantEnd(ByNetwork, CauseUpstreamLost, 1012)
	h.want(Client, "close 1012 upstream connection reset")
	if e := h.asked(); e.Dial || !e.Detach {
		t.Errorf("effects %+v", e)
	}
}

func TestTheUpstreamIsToldFarewellWhereItSaidSo(t *testing.T) {
	h := open(t, reconnecting)
	h.receive(Upstream, closing(Upstream, 1012, "restart"))
	e := h.asked()
	if got := describe(e.Farewell); len(got) != 1 || got[0] != "close 1012 restart" || !e.Detach || !e.Dial {
		t.Errorf("effects %+v, farewell %q", e, got)
	}
}

func TestNoFarewellIsPutIntoAFrame(t *testing.T) {
	f := text(Client, "a frame")
	for _, rest := range []int{0, 1} { // of which the rest has come, but was not written
		h := open(t, reconnecting)
		h.receive(Client, f[:9])
		h.written(Upstream)
		if rest > 0 {
			h.receive(Client, f[9:])
		}
		h.receive(Upstream, closing(Upstream, 1012, ""))
		if e := h.asked(); e.Farewell != nil || !e.Detach {
			t.Errorf("effects %+v", e)
		}
	}
	h := open(t, reconnecting)
	h.receive(Client, f[:9]) // Nothing of it was written.
	h.receive(Upstream, closing(Upstream, 1012, ""))
	if h.asked().Farewell == nil {
		t.Error("no farewell between frames")
	}
}

func TestAConnectionThatCannotBeMovedIsNotHeld(t *testing.T) {
	h := openWith(t, Terms{NotReconnectable: "CompressionContext"}, reconnecting)
	if ok, why := h.Reconnectable(); ok || why != "CompressionContext" {
		t.Error(ok, why)
	}
	h.lose(Upstream, EndOfStream)
	h.wantEnd(ByNetwork, CauseUpstreamLost, 1012)
}

func TestAttemptsAreAsManyAsTheSettingSaysAndThenTheClientIsClosed(t *testing.T) {
	for _, attempts := range []int{0, 1, 3, 10} {
		h := held(t, func(s *Settings) { s.ReconnectAttempts = attempts })
		made := 0
		for h.Phase() == Reconnecting {
			h.wait(3 * time.Second)
			if !h.asked().Dial {
				t.Fatalf("no attempt %d", made+1)
			}
			made++
			if h.Attempt() != made {
				t.Errorf("attempt %d calls itself %d", made, h.Attempt())
			}
			h.DialFailed(h.now, false, "refused")
			h.look()
		}
		if made != attempts {
			t.Errorf("%d attempts, want %d", made, attempts)
		}
		h.wantEnd(ByNetwork, CauseUpstreamLost, 1013)
		h.want(Client, "close 1013 upstream did not come back")
		if h.asked().Dial {
			t.Error("another attempt")
		}
	}
}

func TestTheFirstAttemptIsMadeAtOnceAndOthersAfterThePauseWithJitter(t *testing.T) {
	seen := map[time.Duration]bool{}
	for _, pause := range []time.Duration{0, 100 * time.Millisecond, 3 * time.Second} {
		h := held(t, func(s *Settings) { s.ReconnectDelay, s.ReconnectAttempts = pause, 1000 })
		if !h.asked().Dial {
			t.Fatal("the first attempt is not made at once")
		}
		for range 50 {
			h.DialFailed(h.now, false, "refused")
			h.look()
			due := h.Next().Sub(h.now)
			if due < pause || due > pause+pause/5 {
				t.Fatalf("an attempt is due after %v, with a pause of %v", due, pause)
			}
			seen[due] = true
			if pause > 0 {
				h.wait(pause - 1)
				if h.asked().Dial {
					t.Fatal("an attempt before the pause is over")
				}
			}
			h.wait(pause/5 + 1)
			if !h.asked().Dial {
				t.Fatal("no attempt after the pause")
			}
		}
	}
	if len(seen) < 90 {
		t.Errorf("only %d different pauses: no jitter", len(seen))
	}
}

func TestAFinalRefusalEndsTheAttempts(t *testing.T) {
	h := held(t, nil)
	h.asked()
	h.DialFailed(h.now, true, "401 Unauthorized")
	h.look()
	h.wantEnd(ByUpstream, CauseReconnectRefused, 1008)
	h.want(Client, "close 1008 upstream refused the reconnect")
	h.wait(5 * time.Second)
	if h.asked().Dial {
		t.Error("another attempt")
	}
}

func TestAutoReconnectIsSwitchedOnForALiveConnection(t *testing.T) {
	h := open(t, nil)
	h.receive(Client, text(Client, "ready"))
	h.apply(reconnecting)
	h.lose(Upstream, EndOfStream)
	h.attach()
	h.want(Upstream, "text ready")
}

func TestAutoReconnectIsSwitchedOffForAHeldClient(t *testing.T) {
	h := held(t, nil)
	h.apply(func(s *Settings) { s.AutoReconnect = false })
	h.wantEnd(ByNetwork, CauseUpstreamLost, 1012)
	h.want(Client, "close 1012 upstream lost, and autoReconnect was switched off")
	if h.Attached(h.now) {
		t.Error("a late upstream is taken")
	}
}

func TestAutoReconnectIsSwitchedOffForALiveConnection(t *testing.T) {
	h := open(t, reconnecting)
	h.apply(func(s *Settings) { s.AutoReconnect = false })
	h.lose(Upstream, EndOfStream)
	h.wantPhase(Closing)
}

func TestFewerAttemptsEndAHeldClientAtOnce(t *testing.T) {
	h := held(t, nil)
	for range 2 {
		h.DialFailed(h.now, false, "refused")
		h.look()
		h.wait(3 * time.Second)
	}
	h.apply(func(s *Settings) { s.ReconnectAttempts = 3 })
	h.wantPhase(Reconnecting)
	h.apply(func(s *Settings) { s.ReconnectAttempts = 2 })
	h.wantEnd(ByNetwork, CauseUpstreamLost, 1013)
}

func TestMoreAttemptsKeepAHeldClient(t *testing.T) {
	h := held(t, func(s *Settings) { s.ReconnectAttempts = 1 })
	h.apply(func(s *Settings) { s.ReconnectAttempts = 2 })
	h.DialFailed(h.now, false, "refused")
	h.wantPhase(Reconnecting)
}

func TestAnotherPauseHoldsForTheOneThatRuns(t *testing.T) {
	h := held(t, func(s *Settings) { s.ReconnectDelay = time.Hour })
	h.DialFailed(h.now, false, "refused")
	h.look()
	h.asked()
	h.wait(10 * time.Second)
	h.apply(func(s *Settings) { s.ReconnectDelay = 20 * time.Second })
	h.wait(10*time.Second - 1)
	if h.asked().Dial {
		t.Error("too early")
	}
	h.wait(4*time.Second + 1)
	if !h.asked().Dial {
		t.Error("the old pause is kept")
	}
}

func TestAFlappingUpstreamKeepsThePauseAndCounts(t *testing.T) {
	for _, pause := range []time.Duration{0, 2 * time.Second} {
		h := held(t, func(s *Settings) { s.ReconnectDelay, s.ReconnectAttempts = pause, 4 })
		for i := range 4 {
			h.wantPhase(Reconnecting)
			if !h.asked().Dial {
				t.Fatalf("pause %v: no attempt %d", pause, i+1)
			}
			h.attach()
			h.now = h.now.Add(pause / 2)
			h.lose(Upstream, EndOfStream)
			if i < 3 && pause > 0 && h.asked().Dial {
				t.Fatal("no pause")
			}
			h.wait(pause + pause/5)
		}
		h.wantEnd(ByNetwork, CauseUpstreamLost, 1013)
	}
}

func TestAnUpstreamThatLastedStartsTheCountAfresh(t *testing.T) {
	h := held(t, func(s *Settings) { s.ReconnectAttempts = 2 })
	for range 10 {
		h.DialFailed(h.now, false, "refused")
		h.look()
		h.wait(3 * time.Second)
		h.attach()
		h.now = h.now.Add(2 * time.Second)
		h.lose(Upstream, EndOfStream)
		h.wantPhase(Reconnecting)
		if !h.asked().Dial || h.Attempt() != 1 {
			t.Errorf("attempt %d", h.Attempt())
		}
	}
	if h.Reconnects() != 10 {
		t.Errorf("%d reconnects", h.Reconnects())
	}
}
