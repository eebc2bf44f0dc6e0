// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"math/rand/v2"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

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
				if at+tick <= now {
					t.Fatalf("wanted at %d, has not fired at %d", at, now)
				}
			}
		}
		if len(timers.heap) != len(want) {
			t.Fatalf("%d timers, want %d", len(timers.heap), len(want))
		}
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
