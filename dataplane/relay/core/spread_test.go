// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Four thousand connections that were opened in the same moment: in no millisecond
// of the next two minutes is more than about 1 % of the legs pinged, none is pinged earlier or
// later than it may be, and none is lost, because they answer.
func TestManyThatWereOpenedTogetherAreNotPingedTogether(t *testing.T) {
	const (
		many    = 4000
		timeout = time.Minute
		// There are 256 moments from 24 to 30 seconds, for 8,000 legs in pairs.
		most = 100
	)
	settings := &Settings{LostTimeout: timeout, Random: rand.New(rand.NewPCG(1, 2)).Uint64}
	opened := Instant(time.Hour)
	pings := map[Instant]int{} // by millisecond
	for range many {
		c := New(opened, settings, Terms{})
		last := [2]Instant{opened, opened}
		for now := c.Next(); now < opened.Add(2*time.Minute); now = c.Next() {
			c.Tick(now, func(Side) Peer { return Peer{} })
			for side := range Side(len(c.legs)) {
				if !c.Pending(side) {
					continue
				}
				b := c.Take(side)[0]
				if after := now.Sub(last[side]); after < 24*time.Second || after > 30*time.Second {
					t.Fatalf("pinged after %v", after)
				}
				payload := describe(b)[0][len("ping "):]
				c.Wrote(now, side, len(b), false)
				pings[now/Instant(time.Millisecond)]++
				c.Receive(now, side, pong(side, payload))
				last[side] = now
			}
		}
		if c.Phase() != Open {
			t.Fatalf("lost: %+v", c.End())
		}
	}
	total := 0
	for _, n := range pings {
		total += n
		if n > most {
			t.Errorf("%d pings in one millisecond", n)
		}
	}
	if total < 3*2*many {
		t.Errorf("%d pings in two minutes", total)
	}
}

// Those that are pinged together nevertheless drift apart.
func TestWhoFellSilentTogetherHasAPaceOfItsOwn(t *testing.T) {
	settings := &Settings{LostTimeout: lostTimeout, Random: rand.New(rand.NewPCG(3, 4)).Uint64}
	due := map[Instant]bool{}
	for range 100 {
		c := New(1, settings, Terms{})
		c.Receive(Instant(time.Second), Upstream, pong(Upstream, "alive"))
		due[c.keepaliveDue(Upstream)] = true
	}
	if len(due) < 50 {
		t.Errorf("100 legs are due at %d moments", len(due))
	}
}
