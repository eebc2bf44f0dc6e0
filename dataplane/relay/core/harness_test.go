// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// harness drives a Conn by hand, with a clock that a test moves.
type harness struct {
	*Conn
	t     testing.TB
	now   Instant
	acked [2]uint64
	// unanswered is what the kernel says of each peer.
	unanswered [2]time.Duration
	effects    Effects // all that were asked for and not yet looked at
	settings   Settings
}

// open returns a connection whose legs are open. Nothing is switched on but what
// change does.
func open(t testing.TB, change func(*Settings)) *harness {
	return openWith(t, Terms{}, change)
}

func openWith(t testing.TB, terms Terms, change func(*Settings)) *harness {
	t.Helper()
	h := &harness{t: t, now: Instant(time.Hour), settings: Settings{
		BufferBytes: 1 << 16, ReconnectAttempts: 5, ReconnectDelay: 2 * time.Second, Random: rand.New(rand.NewPCG(1, 2)).Uint64,
	}}
	if change != nil {
		change(&h.settings)
	}
	settings := h.settings
	h.Conn = New(h.now, &settings, terms)
	h.early = 0 // which may be; spread_test.go is about the others
	h.look()
	return h
}

// held returns a connection with autoReconnect whose upstream was lost.
func held(t testing.TB, change func(*Settings)) *harness {
	t.Helper()
	h := open(t, func(s *Settings) {
		s.AutoReconnect = true
		if change != nil {
			change(s)
		}
	})
	h.lose(Upstream, EndOfStream)
	return h
}

func reconnecting(s *Settings) { s.AutoReconnect = true }

// look collects the effects.
func (h *harness) look() {
	e := h.TakeEffects()
	h.effects.Dial = h.effects.Dial || e.Dial
	h.effects.Detach = h.effects.Detach || e.Detach
	h.effects.Farewell = append(h.effects.Farewell, e.Farewell...)
	h.effects.Sent = append(h.effects.Sent, e.Sent...)
	for side := range e.Reset {
		h.effects.Reset[side] = h.effects.Reset[side] || e.Reset[side]
	}
}

// asked returns the effects since it was last called.
func (h *harness) asked() Effects {
	e := h.effects
	h.effects = Effects{}
	return e
}

// apply changes the settings in force.
func (h *harness) apply(change func(*Settings)) {
	change(&h.settings)
	settings := h.settings
	h.Apply(h.now, &settings)
	h.look()
}

func (h *harness) receive(from Side, frames ...[]byte) {
	h.Receive(h.now, from, slices.Concat(frames...))
	h.look()
}

func (h *harness) lose(side Side, how Lossage) {
	h.Lost(h.now, side, how)
	h.look()
}

func (h *harness) attach() {
	h.t.Helper()
	if !h.Attached(h.now) {
		h.t.Fatalf("the new upstream was not wanted in phase %d", h.Phase())
	}
	h.look()
}

func (h *harness) disconnect(grace time.Duration) bool {
	defer h.look()
	return h.Disconnect(h.now, End{By: ByAdmin, Cause: CauseDisconnected, Code: 1000, Reason: "go"}, grace)
}

// wait moves the clock, and ticks whenever a tick is due.
func (h *harness) wait(d time.Duration) {
	h.t.Helper()
	until := h.now.Add(d)
	for range 1000 {
		next := h.Next()
		if next == 0 || next > until {
			h.now = until
			return
		}
		h.now = max(h.now, next)
		h.Tick(h.now, func(side Side) Peer { return Peer{Acked: h.acked[side], Unanswered: h.unanswered[side]} })
		h.look()
	}
	h.t.Fatal("the timer spins")
}

// take returns what a Take returns, as one, and leaves the Wrote to the test.
func (h *harness) take(to Side) []byte { return slices.Concat(h.Take(to)...) }

func (h *harness) wrote(to Side, n int, failed bool) {
	h.Wrote(h.now, to, n, failed)
	h.look()
}

// written lets the socket of a side take everything, and returns it.
func (h *harness) written(to Side) []byte {
	var all []byte
	for h.Pending(to) {
		b := h.take(to)
		all = append(all, b...)
		h.wrote(to, len(b), false)
	}
	return all
}

// want checks the frames that are written to a side.
func (h *harness) want(to Side, frames ...string) {
	h.t.Helper()
	if got := describe(h.written(to)); !slices.Equal(got, frames) {
		h.t.Errorf("to the %s:\n  got  %q\n  want %q", to, got, frames)
	}
}

func (h *harness) wantPhase(phase Phase) {
	h.t.Helper()
	if h.Phase() != phase {
		h.t.Fatalf("phase %d (%+v), want %d", h.Phase(), h.End(), phase)
	}
}

func (h *harness) wantEnd(by By, cause Cause, code int) {
	h.t.Helper()
	if e := h.End(); e.By != by || e.Cause != cause || e.Code != code {
		h.t.Errorf("end %+v, want %s %s %d", e, by, cause, code)
	}
}

// describe says what frames there are: the opcode, with a + where the message
// goes on, and the payload.
func describe(b []byte) (frames []string) {
	names := map[wire.Opcode]string{wire.Continuation: "more", wire.Text: "text", wire.Binary: "binary", wire.Close: "close", wire.Ping: "ping", wire.Pong: "pong"}
	for len(b) > 0 {
		h, n, err := wire.ParseHeader(b)
		if err != nil || h.Length > uint64(len(b)-n) {
			return append(frames, fmt.Sprintf("broken: %d bytes", len(b)))
		}
		payload := slices.Clone(b[n : n+int(h.Length)])
		if h.Masked {
			wire.Mask(h.Key, payload)
		}
		b = b[n+len(payload):]
		name := names[h.Opcode]
		if !h.Fin {
			name += "+"
		}
		if h.Opcode == wire.Close && len(payload) >= 2 {
			payload = append(fmt.Appendf(nil, "%d ", binary.BigEndian.Uint16(payload)), payload[2:]...)
		}
		frames = append(frames, name+" "+string(payload))
	}
	return frames
}

var clientKey = [4]byte{1, 2, 3, 4}

// frame builds a frame as the peer of a side sends it.
func frame(from Side, fin bool, op wire.Opcode, payload string) []byte {
	h := wire.Header{Fin: fin, Opcode: op, Length: uint64(len(payload))}
	p := []byte(payload)
	if from == Client {
		h.Masked, h.Key = true, clientKey
		wire.Mask(clientKey, p)
	}
	return append(wire.AppendHeader(nil, h), p...)
}

func text(from Side, payload string) []byte   { return frame(from, true, wire.Text, payload) }
func begin(from Side, payload string) []byte  { return frame(from, false, wire.Text, payload) }
func middle(from Side, payload string) []byte { return frame(from, false, wire.Continuation, payload) }
func last(from Side, payload string) []byte   { return frame(from, true, wire.Continuation, payload) }
func ping(from Side, payload string) []byte   { return frame(from, true, wire.Ping, payload) }
func pong(from Side, payload string) []byte   { return frame(from, true, wire.Pong, payload) }

func closing(from Side, code int, reason string) []byte {
	return frame(from, true, wire.Close, string(wire.AppendClose(nil, code, reason)))
}

var bothSides = []Side{Client, Upstream}

// size is the number of bytes of the frames.
func (q *queue) size() int {
	if q == nil {
		return 0
	}
	return len(q.frames)
}
