// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

func TestWhatAHeldClientSendsReachesTheNextUpstreamInOrder(t *testing.T) {
	h := open(t, reconnecting)
	h.receive(Client, text(Client, "1"))
	h.want(Upstream, "text 1")
	h.receive(Client, text(Client, "2"))
	h.lose(Upstream, EndOfStream)
	h.wantPhase(Reconnecting)
	h.receive(Client, text(Client, "3"), begin(Client, "4"))
	h.receive(Client, last(Client, "!"), text(Client, "5"))
	h.attach()
	h.wantPhase(Open)
	h.want(Upstream, "text 2", "text 3", "text+ 4", "more !", "text 5")
	h.receive(Client, text(Client, "6"))
	h.want(Upstream, "text 6")
	h.want(Client)
}

// TestAMessageHandedOverInPartIsSentWholeAgain loses the upstream at every byte
// of a message, however that message came and was handed over.
func TestAMessageHandedOverInPartIsSentWholeAgain(t *testing.T) {
	message := slices.Concat(begin(Client, "one"), middle(Client, ""), middle(Client, "two"), last(Client, "three"))
	want := []string{"text+ one", "more+ ", "more+ two", "more three"}
	for _, chunk := range []int{1, 3, 100} {
		for at := 1; at < len(message); at++ {
			h := open(t, reconnecting)
			h.receive(Client, text(Client, "before"))
			h.written(Upstream)
			for part := range slices.Chunk(message[:at], chunk) {
				h.receive(Client, part)
				h.written(Upstream)
			}
			h.lose(Upstream, EndOfStream)
			h.receive(Client, message[at:])
			h.attach()
			if got := describe(h.written(Upstream)); !slices.Equal(got, want) {
				t.Fatalf("lost after %d bytes, %d at a time: got %q", at, chunk, got)
			}
		}
	}
}

// TestAPartlyWrittenBatchIsGoneOnWithAtItsFirstUnfinishedMessage fails a write at
// every byte.
func TestAPartlyWrittenBatchIsGoneOnWithAtItsFirstUnfinishedMessage(t *testing.T) {
	frames := [][]byte{
		text(Client, "1"), ping(Client, "not again"), begin(Client, "2"), pong(Client, ""), last(Client, "!"), text(Client, ""), text(Client, "4"),
	}
	messages := [][]string{{"text 1"}, {"text+ 2", "more !"}, {"text "}, {"text 4"}}
	ends := []int{0, 4, 5, 6} // the frames that end a message
	total := len(slices.Concat(frames...))
	for n := 0; n <= total; n++ {
		for _, lossFirst := range []bool{false, true} {
			h := open(t, reconnecting)
			h.receive(Client, frames...)
			if b := h.take(Upstream); len(b) != total {
				t.Fatalf("%d bytes to write", len(b))
			}
			if lossFirst {
				h.lose(Upstream, BrokenSocket)
				h.wrote(Upstream, n, n < total)
			} else {
				h.wrote(Upstream, n, true)
				h.receive(Client, text(Client, "5"))
				h.lose(Upstream, BrokenSocket)
			}
			var want []string
			done := uint64(0)
			for i, end := range ends {
				if len(slices.Concat(frames[:end+1]...)) <= n {
					done++
					continue
				}
				want = append(want, messages[i]...)
			}
			if !lossFirst {
				want = append(want, "text 5")
			}
			h.attach()
			h.want(Upstream, want...)
			if h.handed.delivered != h.Messages(Client) {
				t.Errorf("%d messages of %d are said to be handed over", h.handed.delivered, h.Messages(Client))
			}
			if lossFirst && h.PossiblyLost() != done {
				t.Errorf("%d messages possibly lost, want %d", h.PossiblyLost(), done)
			}
		}
	}
}

func TestABatchThatEndsWithinAMessageWhenTheUpstreamIsGivenUp(t *testing.T) {
	h := open(t, reconnecting)
	h.receive(Client, text(Client, "1"), begin(Client, "half"))
	b := h.take(Upstream)
	h.lose(Upstream, Silence)
	h.wrote(Upstream, len(b), false) // The kernel had room for it.
	h.receive(Client, last(Client, " and half"))
	h.attach()
	h.want(Upstream, "text+ half", "more  and half")
}

func TestAFullBufferStopsTheReading(t *testing.T) {
	h := held(t, func(s *Settings) { s.BufferBytes = 20 })
	if got := h.Wants(Client, 100); got != 20 {
		t.Errorf("Wants %d of an empty buffer of 20", got)
	}
	h.receive(Client, text(Client, strings.Repeat("x", 9))) // 15 bytes
	if got := h.Wants(Client, 100); got != 5 {
		t.Errorf("Wants %d", got)
	}
	h.receive(Client, text(Client, "123456"))
	if got := h.Wants(Client, 100); got != 0 {
		t.Errorf("Wants %d of a full buffer", got)
	}
	if h.Wants(Upstream, 100) != 0 {
		t.Error("an upstream that is not there is to be read")
	}
	h.attach()
	if h.Wants(Client, 100) != 0 {
		t.Error("the buffer would grow before it is written")
	}
	h.want(Upstream, "text xxxxxxxxx", "text 123456")
	if h.Wants(Client, 100) != 100 {
		t.Error("the client is not read on")
	}
}

func TestAWriteThatFailsStopsTheReadingAtTheBufferToo(t *testing.T) {
	h := open(t, func(s *Settings) { s.AutoReconnect, s.BufferBytes = true, 50 })
	h.receive(Client, text(Client, strings.Repeat("x", 30)))
	h.take(Upstream)
	h.wrote(Upstream, 10, true)
	if got := h.Wants(Client, 100); got != 50-36 {
		t.Errorf("Wants %d", got)
	}
}

func TestAMessageLargerThanTheBufferCannotBeHealed(t *testing.T) {
	large := text(Client, strings.Repeat("x", 200))
	for name, tc := range map[string]struct {
		sent   int
		healed bool
	}{
		"nothing of it sent":        {0, true},
		"less than the buffer sent": {50, true},
		"more than the buffer sent": {150, false},
		"all of it sent":            {len(large), true},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, func(s *Settings) { s.AutoReconnect, s.BufferBytes = true, 100 })
			h.receive(Client, large[:tc.sent])
			h.written(Upstream)
			h.lose(Upstream, EndOfStream)
			if tc.healed {
				h.wantPhase(Reconnecting)
				return
			}
			h.wantPhase(Closing)
			h.wantEnd(ByNetwork, CauseUpstreamLost, 1012)
			if got := describe(h.written(Client)); len(got) != 1 || !strings.HasPrefix(got[0], "close 1012 ") {
				t.Errorf("the client got %q", got)
			}
		})
	}
}

func TestALargeMessageThatHasEndedIsForgotten(t *testing.T) {
	h := open(t, func(s *Settings) { s.AutoReconnect, s.BufferBytes = true, 100 })
	large := text(Client, strings.Repeat("x", 300))
	for part := range slices.Chunk(large, 64) {
		h.receive(Client, part)
		h.written(Upstream)
	}
	h.receive(Client, begin(Client, "next"))
	h.written(Upstream)
	h.lose(Upstream, EndOfStream)
	h.attach()
	h.receive(Client, last(Client, "!"))
	h.want(Upstream, "text+ next", "more !")
}

func TestALossWithinAMessageTowardsTheClientEndsIt(t *testing.T) {
	h := open(t, reconnecting)
	h.receive(Upstream, begin(Upstream, "the rest of this never comes"))
	h.lose(Upstream, EndOfStream)
	h.wantEnd(ByNetwork, CauseUpstreamLost, 1012)
	got := describe(h.written(Client))
	if len(got) != 2 || !strings.HasPrefix(got[1], "close 1012 ") {
		t.Errorf("the client got %q", got)
	}
	h.receive(Client, closing(Client, 1012, ""))
	h.wantPhase(Done)
	if h.End().Cut || h.asked().Reset[Client] {
		t.Error("the client was cut off")
	}
}

func TestALossWithinAFrameTowardsTheClientCutsItOff(t *testing.T) {
	f := text(Upstream, "the rest of this never comes")
	for at := 2; at < len(f); at++ {
		for _, on := range []bool{false, true} {
			h := open(t, func(s *Settings) { s.AutoReconnect = on })
			h.receive(Upstream, f[:at])
			h.written(Client)
			h.lose(Upstream, EndOfStream)
			h.wantPhase(Done)
			if !h.End().Cut || !h.asked().Reset[Client] {
				t.Fatalf("lost after %d bytes: end %+v", at, h.End())
			}
			if h.Pending(Client) {
				t.Error("something is written behind half a frame")
			}
		}
	}
}

func TestALossWithinAHeaderTowardsTheClientIsHealed(t *testing.T) {
	for _, part := range [][]byte{{0x81}, {0x82, 126, 1}, ping(Upstream, "half")[:3], closing(Upstream, 1000, "")[:3]} {
		h := open(t, reconnecting)
		h.receive(Upstream, part)
		h.lose(Upstream, BrokenSocket)
		h.attach()
		h.receive(Upstream, text(Upstream, "of the next"))
		h.want(Client, "text of the next")
	}
}

func TestNothingOfAnUpstreamBehindItsCloseFrameReachesTheClient(t *testing.T) {
	h := open(t, reconnecting)
	h.receive(Upstream, text(Upstream, "before"), closing(Upstream, 1012, ""), text(Upstream, "behind"), []byte{0xff})
	h.receive(Upstream, text(Upstream, "later"))
	h.wantPhase(Reconnecting)
	h.attach()
	h.receive(Upstream, text(Upstream, "next"))
	h.want(Client, "text before", "text next")
}

func TestNothingIsHeardOfASideThatIsGone(t *testing.T) {
	h := held(t, nil)
	h.receive(Upstream, text(Upstream, "late"))
	h.attach()
	h.receive(Upstream, text(Upstream, "next"))
	h.want(Client, "text next")
}

func TestSwitchedOnWithinAMessageTheConnectionHealsAgainFromTheNextOneOn(t *testing.T) {
	h := open(t, nil)
	h.receive(Client, begin(Client, "half"))
	h.written(Upstream)
	h.apply(reconnecting)
	if h.mayHold() {
		t.Error("the first half was not kept")
	}
	h.receive(Client, last(Client, "!"))
	h.written(Upstream)
	h.receive(Client, begin(Client, "next"))
	h.written(Upstream)
	h.lose(Upstream, EndOfStream)
	h.attach()
	h.receive(Client, last(Client, "!"))
	h.want(Upstream, "text+ next", "more !")
}

func TestDataDroppedWhileSwitchedOffIsNotHealed(t *testing.T) {
	h := open(t, reconnecting)
	h.receive(Client, begin(Client, "kept "))
	h.take(Upstream)
	h.wrote(Upstream, 0, true)
	h.apply(func(s *Settings) { s.AutoReconnect = false })
	h.receive(Client, last(Client, "dropped"))
	h.apply(reconnecting)
	h.receive(Client, text(Client, "kept"))
	h.lose(Upstream, BrokenSocket)
	h.wantEnd(ByNetwork, CauseUpstreamLost, 1012)
}

func TestAReplacedUpstreamThatIsLostAgainBeforeTheBufferIsWritten(t *testing.T) {
	h := held(t, nil)
	h.receive(Client, text(Client, "1"), text(Client, "2"))
	h.attach()
	h.lose(Upstream, EndOfStream)
	h.attach()
	b := h.take(Upstream)
	h.lose(Upstream, EndOfStream)
	h.wrote(Upstream, len(text(Client, "1"))+1, true)
	if len(b) != len(text(Client, "1"))*2 {
		t.Errorf("%d bytes", len(b))
	}
	h.attach()
	h.want(Upstream, "text 2")
}

func TestWhatWasKeptGoesBeforeWhatIsOurs(t *testing.T) {
	for name, end := range map[string]func(h *harness){
		"the client closes": func(h *harness) { h.receive(Client, closing(Client, 1000, "go")) },
		"an administrator":  func(h *harness) { h.disconnect(0) },
		"a ping":            func(h *harness) { h.sendPing(Upstream) },
		"the client leaves": func(h *harness) { h.lose(Client, EndOfStream) },
	} {
		t.Run(name, func(t *testing.T) {
			h := held(t, func(s *Settings) { s.ReplayMessages = 1 })
			h.receive(Client, text(Client, "kept"), text(Client, "kept too"))
			h.attach()
			h.receive(Client, text(Client, "and this")) // It was being read.
			end(h)
			got := describe(h.written(Upstream))
			if len(got) != 4 || !slices.Equal(got[:3], []string{"text kept", "text kept too", "text and this"}) {
				t.Errorf("got %q", got)
			}
			if h.handed.delivered != 3 {
				t.Errorf("%d messages handed over", h.handed.delivered)
			}
		})
	}
}

func TestABufferThatEndsWithinAFrameOfAClientThatLeft(t *testing.T) {
	h := held(t, nil)
	f := text(Client, "half")
	h.receive(Client, text(Client, "whole"), f[:8])
	h.attach()
	h.lose(Client, BrokenSocket)
	b := h.written(Upstream)
	if !bytes.HasPrefix(b, text(Client, "whole")) {
		t.Errorf("got %q", describe(b))
	}
	h.wantPhase(Done)
	if !h.asked().Reset[Upstream] {
		t.Error("the upstream waits for the rest of a frame")
	}
}

func TestWhatIsKeptIsWhatWasSent(t *testing.T) {
	var sent []byte
	h := open(t, reconnecting)
	var got []byte
	for i := range 50 {
		f := frame(Client, true, wire.Binary, fmt.Sprint("message ", i))
		sent = append(sent, f...)
		h.receive(Client, f)
		if i%7 == 3 {
			h.now = h.now.Add(1e10) // So that it is another outage.
			h.lose(Upstream, EndOfStream)
		}
		if i%7 == 5 {
			h.attach()
		}
		got = append(got, h.written(Upstream)...)
	}
	if !bytes.Equal(got, sent) {
		t.Error("what was kept was not written as it was sent")
	}
}

func TestWhatNoUpstreamWasToldIsKnownAtTheEnd(t *testing.T) {
	h := open(t, reconnecting)
	h.receive(Client, text(Client, "1"))
	h.written(Upstream)
	if got := h.Undelivered(); got != 0 {
		t.Errorf("%d undelivered, want none", got)
	}
	h.lose(Upstream, EndOfStream)
	h.receive(Client, text(Client, "2"), text(Client, "3"), closing(Client, 1000, ""))
	h.written(Client)
	h.wantPhase(Done)
	if got := h.Undelivered(); got != 2 {
		t.Errorf("%d undelivered, want 2", got)
	}
}
