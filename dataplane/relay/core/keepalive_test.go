// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"testing"
	"time"
)

const lostTimeout = 10 * time.Second

func watched(s *Settings) { s.LostTimeout = lostTimeout }

// busy keeps one side alive, so that a test looks at the other alone.
func (h *harness) busy(side Side) {
	h.receive(side, pong(side, "alive"))
	h.written(side.Other())
	h.written(side)
}

func TestASilentLegIsPingedAfterHalfOfTheTimeoutAndLostAfterAllOfIt(t *testing.T) {
	for _, side := range bothSides {
		h := open(t, watched)
		h.wait(lostTimeout/2 - 1)
		h.want(side)
		h.wait(1)
		h.pinged(side)
		h.busy(side.Other())
		h.wait(lostTimeout/2 - 1)
		h.wantPhase(Open)
		h.busy(side.Other())
		h.wait(1)
		h.wantPhase(Closing)
		cause := map[Side]Cause{Client: CauseClientLost, Upstream: CauseUpstreamLost}[side]
		if h.End().Cause != cause || h.End().By != ByNetwork {
			t.Errorf("end %+v", h.End())
		}
		if e := h.asked(); side == Client && !e.Reset[Client] || side == Upstream && !e.Detach {
			t.Errorf("the socket of the silent %s is not given up: %+v", side, e)
		}
	}
}

func TestZeroSwitchesTheTimeoutOff(t *testing.T) {
	h := open(t, nil)
	if h.Next() != 0 {
		t.Error("a timer is set")
	}
	h.wait(24 * time.Hour)
	h.want(Client)
	h.want(Upstream)
	h.wantPhase(Open)
}

func TestAnyByteCountsAsLife(t *testing.T) {
	h := open(t, watched)
	f := text(Client, "slowly written")
	for i := range f {
		h.wait(lostTimeout - 1)
		h.wantPhase(Open)
		h.receive(Client, f[i:i+1])
		h.written(Client)
		h.busy(Upstream)
	}
}

func TestAPongIsLife(t *testing.T) {
	h := open(t, watched)
	for range 20 {
		h.wait(lostTimeout / 2)
		h.receive(Client, pong(Client, h.pinged(Client)))
		h.receive(Upstream, pong(Upstream, h.pinged(Upstream)))
	}
	h.wantPhase(Open)
}

func TestATimeoutThatIsLoweredDoesNotHitALivingPeer(t *testing.T) {
	h := open(t, func(s *Settings) { s.LostTimeout = time.Hour })
	h.wait(29 * time.Minute)
	h.apply(func(s *Settings) { s.LostTimeout = lostTimeout })
	h.wait(0)
	h.wantPhase(Open)
	h.receive(Client, pong(Client, h.pinged(Client)))
	h.receive(Upstream, pong(Upstream, h.pinged(Upstream)))
	h.wait(lostTimeout/2 - 1)
	h.wantPhase(Open)
}

func TestATimeoutThatIsLoweredHitsADeadPeerSoon(t *testing.T) {
	h := open(t, func(s *Settings) { s.LostTimeout = time.Hour })
	h.wait(29 * time.Minute)
	h.apply(func(s *Settings) { s.LostTimeout = lostTimeout })
	h.wait(0)
	h.written(Client)
	h.written(Upstream)
	h.wait(lostTimeout / 2)
	if h.Phase() < Closing {
		t.Error("still open")
	}
}

func TestATimeoutThatIsSwitchedOffOnALiveConnectionIsOff(t *testing.T) {
	h := open(t, watched)
	h.wait(lostTimeout / 2)
	h.written(Client)
	h.written(Upstream)
	h.apply(func(s *Settings) { s.LostTimeout = 0 })
	h.wait(time.Hour)
	h.wantPhase(Open)
}

func TestATimeoutThatIsSwitchedOnOnALiveConnectionIsOn(t *testing.T) {
	h := open(t, nil)
	h.wait(time.Hour)
	h.apply(watched)
	h.wait(0)
	h.pinged(Client)
	h.pinged(Upstream)
}

func TestTheClockStandsStillWhileALegIsNotReadFrom(t *testing.T) {
	h := open(t, watched)
	h.wait(4 * time.Second)
	h.Pause(h.now, Upstream)
	for range 100 {
		h.wait(lostTimeout / 2)
		h.busy(Client)
	}
	h.wantPhase(Open)
	h.want(Upstream)
	h.Resume(h.now, Upstream)
	h.look()
	h.wait(time.Second - 1)
	h.want(Upstream)
	h.wait(1) // Half of the timeout without the pause.
	h.pinged(Upstream)
}

func TestAPauseBehindAPingCountsForItsAnswerToo(t *testing.T) {
	h := open(t, watched)
	h.wait(lostTimeout / 2)
	h.pinged(Upstream)
	h.busy(Client)
	h.Pause(h.now, Upstream)
	for range 10 {
		h.wait(lostTimeout / 2)
		h.busy(Client)
	}
	h.Resume(h.now, Upstream)
	h.look()
	h.wait(lostTimeout/2 - 1)
	h.wantPhase(Open)
	h.busy(Client)
	h.wait(1)
	h.wantPhase(Closing)
}

func TestAPauseGoesOnForTheNextUpstream(t *testing.T) {
	h := open(t, func(s *Settings) { s.AutoReconnect, s.LostTimeout = true, lostTimeout })
	h.receive(Upstream, text(Upstream, "for a slow client"))
	b := h.take(Client)
	h.Pause(h.now, Upstream)
	h.lose(Upstream, BrokenSocket)
	h.attach()
	for range 10 {
		h.wait(lostTimeout / 2)
		h.receive(Client, pong(Client, "alive"))
		h.written(Upstream)
	}
	h.wantPhase(Open)
	if h.Reconnects() != 1 {
		t.Errorf("%d reconnects", h.Reconnects())
	}
	h.wrote(Client, len(b), false)
}

func TestAPingThatTheSocketHasNotTakenIsNotHeldAgainstThePeer(t *testing.T) {
	h := open(t, watched)
	h.receive(Client, text(Client, "large"))
	b := h.take(Upstream) // The upstream reads slowly.
	for range 10 {
		h.wait(lostTimeout)
		h.busy(Client)
	}
	h.wantPhase(Open)
	h.wrote(Upstream, len(b), false)
	h.pinged(Upstream)
	h.wait(lostTimeout/2 - 1)
	h.wantPhase(Open)
}

func TestALegThatSpeaksBeforeItsPingIsWrittenIsWatchedOn(t *testing.T) {
	h := open(t, watched)
	h.receive(Client, text(Client, "large"))
	b := h.take(Upstream)
	h.wait(lostTimeout / 2)
	h.busy(Client)
	h.receive(Upstream, text(Upstream, "alive"))
	h.written(Client)
	if want := h.now.Add(lostTimeout / 2); h.keepaliveDue(Upstream) != want {
		t.Errorf("due at %v, want %v", h.keepaliveDue(Upstream), want)
	}
	h.wrote(Upstream, len(b), false)
}

func TestALegThatCannotBeWrittenToIsLostWhenItStaysSilent(t *testing.T) {
	h := open(t, watched)
	h.receive(Client, text(Client, "x"))
	h.take(Upstream)
	h.wrote(Upstream, 0, true)
	h.wait(lostTimeout / 2)
	h.busy(Client)
	h.wait(lostTimeout / 2)
	h.wantEnd(ByNetwork, CauseUpstreamLost, 1012)
}

func TestAcknowledgedProgressCountsAsLife(t *testing.T) {
	h := open(t, watched)
	for range 10 {
		h.wait(lostTimeout / 2)
		h.pinged(Upstream)
		h.busy(Client)
		h.acked[Upstream] += 5000
		h.wait(lostTimeout / 2)
		h.written(Client)
		h.busy(Client)
		h.wantPhase(Open)
	}
}

func TestTheAcknowledgementOfOurPingAloneIsNoLife(t *testing.T) {
	h := open(t, watched)
	h.wait(lostTimeout / 2)
	h.pinged(Upstream)
	h.busy(Client)
	h.acked[Upstream] += 14 + 29
	h.wait(lostTimeout / 2)
	h.wantEnd(ByNetwork, CauseUpstreamLost, 1012)
}

func TestOnePingWaitsForABlockedWriterHoweverOftenItsPeerFallsSilent(t *testing.T) {
	h := open(t, watched)
	h.receive(Client, text(Client, "large"))
	b := h.take(Upstream)
	for range 50 {
		h.wait(lostTimeout / 2)
		h.receive(Upstream, text(Upstream, "alive"))
		h.written(Client)
		h.busy(Client)
	}
	h.wrote(Upstream, len(b), false)
	h.pinged(Upstream)
}

func TestABlockedWriterWhosePeerIsDeadIsFound(t *testing.T) {
	h := open(t, watched)
	h.receive(Client, text(Client, "large"))
	h.take(Upstream)
	for range 5 {
		h.wait(lostTimeout)
		h.busy(Client)
	}
	h.wantPhase(Open)
	h.unanswered[Upstream] = lostTimeout - 1
	h.wait(lostTimeout)
	h.busy(Client)
	h.wantPhase(Open)
	h.unanswered[Upstream] = lostTimeout
	h.wait(lostTimeout)
	h.wantEnd(ByNetwork, CauseUpstreamLost, 1012)
}

func TestAPingThatIsWrittenWithinAPauseIsWaitedForNoLonger(t *testing.T) {
	h := open(t, watched)
	h.wait(lostTimeout / 2)
	h.Pause(h.now, Upstream)
	for range 10 {
		h.receive(Client, pong(Client, "alive"))
		h.wait(lostTimeout / 2)
		h.written(Client)
	}
	h.written(Upstream) // the ping, too
	h.busy(Client)
	h.wait(lostTimeout / 4)
	h.Resume(h.now, Upstream)
	h.look()
	h.busy(Client)
	h.wait(lostTimeout/2 - 1)
	h.busy(Client)
	h.wantPhase(Open)
	h.wait(1)
	h.wantPhase(Closing)
}
