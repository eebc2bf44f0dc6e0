// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"strings"
	"testing"
	"time"
)

func TestACloseHandshakeIsCompletedByThePeers(t *testing.T) {
	for _, from := range bothSides {
		other := from.Other()
		h := open(t, reconnecting)
		h.receive(from, text(from, "last words"), closing(from, 4000, "bye"))
		h.wantPhase(Closing)
		h.want(other, "text last words", "close 4000 bye")
		h.receive(other, text(other, "my last words"), closing(other, 4000, "bye"))
		h.wantPhase(Closing) // until the answer is written
		h.want(from, "text my last words", "close 4000 bye")
		h.wantPhase(Done)
		if e := h.asked(); e.Reset[Client] || e.Reset[Upstream] || h.End().Cut {
			t.Errorf("cut off: %+v %+v", e, h.End())
		}
		h.wantEnd(map[Side]By{Client: ByClient, Upstream: ByUpstream}[from], map[Side]Cause{Client: CauseClientClose, Upstream: CauseUpstreamClose}[from], 4000)
	}
}

func TestACloseFrameWithoutACodeCrossesAsItIs(t *testing.T) {
	h := open(t, nil)
	h.receive(Client, closing(Client, 1005, ""))
	h.wantEnd(ByClient, CauseClientClose, 1005)
	h.want(Upstream, "close ")
}

func TestCrossingCloseFrames(t *testing.T) {
	h := open(t, reconnecting)
	h.receive(Client, closing(Client, 1000, "client"))
	h.receive(Upstream, closing(Upstream, 1001, "upstream"))
	h.want(Upstream, "close 1000 client")
	h.want(Client, "close 1001 upstream")
	h.wantPhase(Done)
	h.wantEnd(ByClient, CauseClientClose, 1000)
}

func TestAPeerThatNeverAnswersIsGivenUpAndAnsweredForWhenTheGraceIsOver(t *testing.T) {
	for _, from := range bothSides {
		h := open(t, nil)
		h.receive(from, closing(from, 1000, "bye"))
		h.want(from.Other(), "close 1000 bye")
		h.wait(closeGrace - 1)
		h.wantPhase(Closing)
		h.wait(1)
		if e := h.asked(); !e.Reset[Client] && from == Upstream || !e.Detach && from == Client || e.Reset[from] {
			t.Errorf("effects %+v", e)
		}
		h.want(from, "close 1000 ")
		h.wantPhase(Done)
		if e := h.asked(); e.Reset[from] || h.End().Cut {
			t.Errorf("effects %+v, end %+v", e, h.End())
		}
	}
}

func TestAPeerThatDoesNotTakeItsAnswerIsReset(t *testing.T) {
	for _, from := range bothSides {
		h := open(t, nil)
		h.receive(from, closing(from, 1000, "bye"))
		h.written(from.Other())
		h.wait(closeGrace)
		h.take(from)
		h.wait(answerGrace - 1)
		h.wantPhase(Closing)
		h.wait(1)
		h.wantPhase(Done)
		if e := h.asked(); !e.Reset[from] {
			t.Errorf("effects %+v", e)
		}
	}
}

func TestAPeerThatIsLostBeforeItAnswersIsAnsweredFor(t *testing.T) {
	for _, from := range bothSides {
		h := open(t, reconnecting)
		h.receive(from, closing(from, 4001, "bye"))
		h.written(from.Other())
		h.lose(from.Other(), EndOfStream)
		h.want(from, "close 4001 ")
		h.wantPhase(Done)
		if h.End().Cut || h.asked().Reset[from] {
			t.Error("cut off")
		}
		h.wantEnd(map[Side]By{Client: ByClient, Upstream: ByUpstream}[from], map[Side]Cause{Client: CauseClientClose, Upstream: CauseUpstreamClose}[from], 4001)
	}
}

func TestAHeldClientThatClosesIsAnswered(t *testing.T) {
	h := held(t, nil)
	h.receive(Client, closing(Client, 1000, "bye"))
	h.want(Client, "close 1000 bye")
	h.wantPhase(Done)
	h.wantEnd(ByClient, CauseClientClose, 1000)
}

func TestALostClientClosesTheUpstream(t *testing.T) {
	for _, on := range []bool{false, true} {
		h := open(t, func(s *Settings) { s.AutoReconnect = on })
		h.receive(Client, text(Client, "last words"))
		h.lose(Client, BrokenSocket)
		h.wantEnd(ByNetwork, CauseClientLost, 1006)
		h.want(Upstream, "text last words", "close 1001 client lost")
		h.receive(Upstream, text(Upstream, "for nobody"), closing(Upstream, 1001, ""))
		h.wantPhase(Done)
		if h.Pending(Client) {
			t.Error("something is to be written to a client that is gone")
		}
	}
}

func TestAClientLostWithinAFrameResetsTheUpstream(t *testing.T) {
	h := open(t, nil)
	h.receive(Client, text(Client, "half")[:8])
	h.lose(Client, BrokenSocket)
	h.wantPhase(Done)
	if !h.asked().Reset[Upstream] || h.End().Cut {
		t.Error("the upstream waits for the rest of a frame")
	}
}

func TestAHeldClientThatIsLostIsDone(t *testing.T) {
	h := held(t, nil)
	h.lose(Client, EndOfStream)
	h.wantPhase(Done)
	h.wantEnd(ByNetwork, CauseClientLost, 1006)
}

func TestDisconnectClosesBothSidesWithItsCode(t *testing.T) {
	h := open(t, reconnecting)
	if !h.disconnect(0) {
		t.Fatal("refused")
	}
	h.want(Client, "close 1000 go")
	h.want(Upstream, "close 1000 go")
	h.wantEnd(ByAdmin, CauseDisconnected, 1000)
	h.receive(Client, closing(Client, 1000, "go"))
	h.wantPhase(Closing)
	h.receive(Upstream, closing(Upstream, 1000, "go"))
	h.wantPhase(Done)
}

func TestDisconnectIsRefusedWhileClosing(t *testing.T) {
	h := open(t, nil)
	h.receive(Client, closing(Client, 1000, "mine"))
	if h.disconnect(0) {
		t.Error("a second end")
	}
	h.wantEnd(ByClient, CauseClientClose, 1000)
	h.lose(Client, EndOfStream)
	h.lose(Upstream, EndOfStream)
	h.wantPhase(Done)
	if h.disconnect(0) {
		t.Error("a second end")
	}
}

func TestDisconnectOfAHeldClient(t *testing.T) {
	h := held(t, nil)
	if !h.disconnect(0) {
		t.Fatal("refused")
	}
	h.want(Client, "close 1000 go")
	if h.Attached(h.now) {
		t.Error("a late upstream is taken")
	}
	h.receive(Client, closing(Client, 1000, "go"))
	h.wantPhase(Done)
}

func TestDisconnectWithinAFrameWaitsForItsEnd(t *testing.T) {
	h := open(t, nil)
	f := text(Upstream, "a frame")
	h.receive(Upstream, f[:4])
	h.disconnect(3 * time.Second)
	h.receive(Client, closing(Client, 1000, ""))
	h.wait(3*time.Second - 1)
	h.receive(Upstream, f[4:], text(Upstream, "not any more"), closing(Upstream, 1000, ""))
	h.want(Client, "text a frame", "close 1000 go")
	h.want(Upstream, "close 1000 go")
	h.wantPhase(Done)
	if h.End().Cut {
		t.Error("cut off")
	}
}

func TestDisconnectWithinAFrameThatDoesNotEndCutsOff(t *testing.T) {
	for grace, want := range map[time.Duration]time.Duration{0: DefaultGrace, 7 * time.Second: 7 * time.Second} {
		h := open(t, nil)
		h.receive(Upstream, text(Upstream, "a frame")[:4])
		h.written(Client)
		h.disconnect(grace)
		h.wait(want - 1)
		h.wantPhase(Closing)
		h.wait(1)
		h.wantPhase(Done)
		if e := h.asked(); !h.End().Cut || !e.Reset[Client] {
			t.Errorf("end %+v, effects %+v", h.End(), e)
		}
		if h.End().Cause != CauseDisconnected {
			t.Errorf("end %+v", h.End())
		}
	}
}

func TestAClientThatDoesNotTakeItsCloseFrameIsCutOff(t *testing.T) {
	h := open(t, nil)
	h.receive(Upstream, text(Upstream, "for a client that does not read"))
	h.take(Client)
	h.disconnect(time.Second)
	h.wait(time.Second)
	if !h.End().Cut || !h.asked().Reset[Client] {
		t.Errorf("end %+v", h.End())
	}
}

func TestAFailedWriteWhileClosingEndsThatSide(t *testing.T) {
	h := open(t, nil)
	h.disconnect(0)
	b := h.take(Client)
	h.wrote(Client, len(b)-1, true)
	h.receive(Client, closing(Client, 1000, ""))
	h.written(Upstream)
	h.receive(Upstream, closing(Upstream, 1000, ""))
	h.wantPhase(Done)
}

func TestAViolationWhileClosingChangesNoCause(t *testing.T) {
	h := open(t, nil)
	h.disconnect(0)
	h.receive(Client, []byte{0xff, 0xff})
	h.wantEnd(ByAdmin, CauseDisconnected, 1000)
	h.want(Client, "close 1000 go")
}

func TestNothingHappensToAConnectionThatIsDone(t *testing.T) {
	h := open(t, reconnecting)
	h.lose(Client, EndOfStream)
	h.lose(Upstream, EndOfStream)
	h.wantPhase(Done)
	end := h.End()
	h.asked()
	h.receive(Client, text(Client, "x"))
	h.lose(Client, Silence)
	h.DialFailed(h.now, false, "")
	h.Abort(h.now)
	h.Tick(h.now.Add(time.Hour), func(Side) Peer { return Peer{} })
	h.look()
	if e := h.asked(); e.Dial || e.Detach || e.Reset != [2]bool{} || h.End() != end || h.Next() != 0 || h.Wants(Client, 10) != 0 || h.Attached(h.now) {
		t.Errorf("effects %+v, end %+v", e, h.End())
	}
}

func TestAbortEndsAtOnceWithoutCloseFrames(t *testing.T) {
	h := open(t, nil)
	h.Abort(h.now)
	h.look()
	h.wantPhase(Done)
	h.wantEnd(ByProxy, CauseDrained, 1006)
	if e := h.asked(); e.Reset != [2]bool{true, true} || !h.End().Cut {
		t.Errorf("effects %+v, end %+v", e, h.End())
	}
}

func TestEveryLossHasItsWords(t *testing.T) {
	for how, words := range map[Lossage]string{EndOfStream: "without a close frame", BrokenSocket: "reset", Silence: "silent"} {
		h := open(t, nil)
		h.lose(Upstream, how)
		if !strings.Contains(h.End().Reason, words) {
			t.Errorf("%q", h.End().Reason)
		}
	}
}

// A write that failed has taken the kernel's error: the reader sees the end of the
// stream only.
func TestAnEndBehindAFailedWriteIsAReset(t *testing.T) {
	for _, broken := range []bool{false, true} {
		h := open(t, nil)
		h.receive(Upstream, text(Upstream, "hello"))
		h.take(Client)
		h.wrote(Client, 0, broken)
		h.lose(Client, EndOfStream)
		want := "client ended without a close frame"
		if broken {
			want = "client connection reset"
		}
		if got := h.End().Reason; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
