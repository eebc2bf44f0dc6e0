// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// tick is about how far apart timers are.
const tick = core.Instant(16 * time.Millisecond)

// The timers do what a plain map of moments would.
func TestTimersFireInOrderAndNeverEarly(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var timers timers
	conns := make([]*Conn, 300)
	for i := range conns {
		conns[i] = &Conn{timer: none}
	}
	want := map[*Conn]core.Instant{}
	now := core.Instant(1)
	for range 100_000 {
		k := conns[rng.IntN(len(conns))]
		switch rng.IntN(4) {
		case 0, 1:
			at := now + core.Instant(rng.Int64N(int64(100*tick)))
			timers.set(k, at)
			if before, ok := want[k]; !ok || at < before {
				want[k] = at
			}
		case 2:
			timers.remove(k)
			delete(want, k)
		default:
			now += core.Instant(rng.Int64N(int64(2 * tick)))
			for k := timers.due(now); k != nil; k = timers.due(now) {
				at, ok := want[k]
				if !ok || at > now {
					t.Fatalf("fired at %d, wanted at %d (%v)", now, at, ok)
				}
				delete(want, k)
			}
			for _, at := range want {
				if at < now {
					t.Fatalf("wanted at %d, has not fired at %d", at, now)
				}
			}
		}
		if len(timers.heap) != len(want) {
			t.Fatalf("%d timers, want %d", len(timers.heap), len(want))
		}
	}
}

// A change of the settings may make everybody due at once; those who talk have
// their turn in between.
func TestWhatIsDueAtOnceIsDoneInTurns(t *testing.T) {
	const many = 3*maxFired + 10
	w := &worker{now: 10 * tick}
	for range many {
		k := &Conn{conn: &conn{}, slot: none, timer: none, ended: true}
		w.timers.set(k, tick)
	}
	for left := many - maxFired; left > 0; left -= maxFired {
		if w.fire(); len(w.timers.heap) != left || !w.late {
			t.Fatalf("%d are left, want %d, late: %v", len(w.timers.heap), left, w.late)
		}
	}
	if w.fire(); len(w.timers.heap) != 0 || w.late {
		t.Errorf("%d are left, late: %v", len(w.timers.heap), w.late)
	}
}

// Talking costs the timers nothing: what a connection has is moved when it comes,
// not when it moves.
func TestAConnectionThatTalksDoesNotMoveItsTimer(t *testing.T) {
	l := startLoop(t)
	w := l.workers[0]
	c := open(t, l, nil)
	c.Lock()
	c.core.Apply(driver.Now(), &core.Settings{LostTimeout: time.Hour, Random: rand.Uint64})
	c.Changed()
	c.Unlock()
	var at core.Instant
	eventually(t, "the timer is set", func() bool {
		c.Lock() // The worker sets timers while it has the connection.
		defer c.Unlock()
		at = w.timers.next()
		return at != 0
	})
	message := wire.AppendFrame(nil, wire.Text, []byte("hello"), &[4]byte{1, 2, 3, 4})
	for range 500 {
		if _, err := c.client.Write(message); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c.upstream, make([]byte, len(message))); err != nil {
			t.Fatal(err)
		}
	}
	c.Lock()
	defer c.Unlock()
	if got := w.timers.next(); got != at || len(w.timers.heap) != 1 {
		t.Errorf("%d timers, the first moved by %v", len(w.timers.heap), got.Sub(at))
	}
}

func TestSlotsAreReusedAndGivenBack(t *testing.T) {
	var s slots
	a, b := &Conn{slot: none}, &Conn{slot: none}
	a.slot, b.slot = s.take(a), s.take(b)
	first := a.slot
	s.free(a)
	if s.of(first) != nil {
		t.Error("who is gone is still found")
	}
	a.slot = s.take(a)
	if a.slot != first || s.of(first) != a || s.of(b.slot) != b {
		t.Error("a slot was not used again")
	}
	second := b.slot
	s.free(a)
	s.free(b)
	s.free(b)
	// An event may name it after everything was given back.
	if s.of(second) != nil || cap(s.conns) != 0 {
		t.Error("something is left")
	}
}
