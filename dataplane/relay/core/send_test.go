// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// send sends a text to the client.
func (h *harness) send(id uint64, payload string) {
	h.t.Helper()
	if err := h.Send(id, wire.Text, []byte(payload)); err != nil {
		h.t.Fatalf("message %d: %v", id, err)
	}
}

// wantSent checks what has been reported of messages since it was last called.
func (h *harness) wantSent(want ...Sent) {
	h.t.Helper()
	h.look()
	if got := h.asked().Sent; !slices.Equal(got, want) {
		h.t.Errorf("reported %v, want %v", got, want)
	}
}

// TestAMessageOfOursLandsBetweenMessages sends one after each byte of what the
// upstream says. It comes behind the message that has begun, whose fragments and
// the ping between them stay together.
func TestAMessageOfOursLandsBetweenMessages(t *testing.T) {
	stream := slices.Concat(text(Upstream, "1"), begin(Upstream, "2"), ping(Upstream, "p"), last(Upstream, "!"), text(Upstream, strings.Repeat("3", 200)), text(Upstream, "4"))
	alone := []string{"text 1", "text+ 2", "ping p", "more !", "text " + strings.Repeat("3", 200), "text 4"}
	places := map[int]bool{}
	for at := range len(stream) + 1 {
		h := open(t, nil)
		h.receive(Upstream, stream[:at])
		got := h.written(Client)
		h.send(1, "ours")
		got = append(got, h.written(Client)...)
		h.receive(Upstream, stream[at:])
		got = append(got, h.written(Client)...)
		frames := describe(got)
		place := slices.Index(frames, "text ours")
		if place < 0 || !slices.Equal(slices.Delete(frames, place, place+1), alone) {
			t.Errorf("after %d bytes: %q", at, frames)
		}
		places[place] = true
		h.wantSent(Sent{1, Written})
	}
	for place, want := range []bool{true, true, false, false, true, true, true} {
		if places[place] != want {
			t.Errorf("one came to place %d: %v", place, places[place])
		}
	}
}

func TestAMessageOfOursIsOneBareFrame(t *testing.T) {
	h := openWith(t, Terms{Extensions: true}, nil)
	payload := []byte{0, 1, 2}
	if err := h.Send(7, wire.Binary, payload); err != nil {
		t.Fatal(err)
	}
	clear(payload)
	if got, want := h.written(Client), []byte{0x82, 3, 0, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
	h.wantSent(Sent{7, Written})
	if h.Messages(Upstream) != 0 || h.Bytes(Upstream) != 0 || h.LastActive() != h.Opened() {
		t.Error("it counts as the upstream's")
	}
}

func TestMessagesOfOursReachAClientThatIsHeld(t *testing.T) {
	h := held(t, nil)
	h.send(1, "one")
	h.want(Client, "text one")
	h.attach()
	h.receive(Upstream, begin(Upstream, "a"))
	h.send(2, "two")
	h.receive(Upstream, last(Upstream, "b"))
	h.want(Client, "text+ a", "more b", "text two")
	h.wantSent(Sent{1, Written}, Sent{2, Written})
}

// A driver that does not wait for the socket says how much it has taken.
func TestAMessageIsReportedWhenTheSocketHasAllOfIt(t *testing.T) {
	h := open(t, nil)
	h.send(1, "one")
	h.send(2, "two")
	if n := h.Sending(); n != 10 {
		t.Errorf("%d bytes are being sent", n)
	}
	h.take(Client)
	h.send(3, "three")
	h.Kept(Client, 4)
	h.wantSent()
	h.Kept(Client, 1)
	h.wantSent(Sent{1, Written})
	if h.Withdraw(1) || h.Withdraw(2) || !h.Withdraw(3) || h.Withdraw(3) {
		t.Error("what is being written cannot be withdrawn, what waits can, once")
	}
	if n := h.Sending(); n != 5 {
		t.Errorf("%d bytes are being sent", n)
	}
	h.wrote(Client, 5, false)
	h.wantSent(Sent{2, Written})
	h.want(Client)
	if h.sends() != nil || h.legs[Client].out.queue != nil {
		t.Error("memory is kept for nothing")
	}
}

func TestWhatBecomesOfMessagesWhenTheConnectionEnds(t *testing.T) {
	for what, test := range map[string]struct {
		end  func(h *harness)
		want []Sent
	}{
		"it is disconnected": {
			func(h *harness) { h.disconnect(0) },
			[]Sent{{2, Dropped}},
		},
		"the client fails": {
			func(h *harness) { h.wrote(Client, 3, true) },
			[]Sent{{2, Dropped}, {1, Dropped}},
		},
		"the client fails, and its socket had all of the first": {
			func(h *harness) { h.wrote(Client, 5, true) },
			[]Sent{{1, Written}, {2, Dropped}},
		},
		"the client is lost while the first is written": {
			func(h *harness) { h.lose(Client, BrokenSocket); h.wrote(Client, 0, true) },
			[]Sent{{2, Dropped}, {1, Dropped}},
		},
		"the process ends": {
			func(h *harness) { h.Abort(h.now) },
			[]Sent{{2, Dropped}, {1, InDoubt}},
		},
	} {
		t.Run(what, func(t *testing.T) {
			h := open(t, nil)
			h.send(1, "one")
			h.take(Client)
			h.send(2, "two")
			test.end(h)
			h.wantSent(test.want...)
			if err := h.Send(3, wire.Text, nil); !errors.Is(err, ErrEnding) {
				t.Errorf("another one is answered with %v", err)
			}
		})
	}
}

func TestHowMuchMayBeSent(t *testing.T) {
	h := open(t, nil)
	h.take(Client)
	h.receive(Upstream, begin(Upstream, "long"))
	h.take(Client)
	if err := h.Send(1, wire.Text, make([]byte, MaxSend+1)); !errors.Is(err, ErrTooBig) {
		t.Errorf("more than the largest: %v", err)
	}
	h.send(2, strings.Repeat("x", MaxSend))
	h.send(3, strings.Repeat("x", MaxSend))
	if err := h.Send(4, wire.Text, []byte("x")); !errors.Is(err, ErrFull) {
		t.Errorf("more than two of the largest: %v", err)
	}
	h.Withdraw(3)
	for id := range uint64(maxSends - 1) {
		h.send(5+id, "")
	}
	if err := h.MaySend(0); !errors.Is(err, ErrFull) {
		t.Errorf("more than %d: %v", maxSends, err)
	}
	h.apply(func(s *Settings) { s.MaxMessageBytes = 3 })
	h.Withdraw(2)
	if err := errors.Join(h.MaySend(3), h.MaySend(0)); err != nil {
		t.Error(err)
	}
	if err := h.MaySend(4); !errors.Is(err, ErrTooBig) {
		t.Errorf("more than the limit of the settings: %v", err)
	}
}
