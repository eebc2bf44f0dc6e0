// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"testing"
	"time"
)

func TestOneUserWaitsAndAnotherDoesNot(t *testing.T) {
	now := time.Unix(1767323045, 0)
	throttle := New(Options{PerSecond: 10, Burst: 5, Now: func() time.Time { return now }})
	take := func(user string, cost int, want time.Duration) {
		t.Helper()
		if got := throttle.Take(user, cost); got != want {
			t.Errorf("%s waits %v for %d, want %v", user, got, cost, want)
		}
	}
	for range 5 {
		take("alice", 1, 0)
	}
	take("alice", 1, 100*time.Millisecond)
	take("alice", 1, 100*time.Millisecond) // Nothing was taken by the refusal.
	take("bob", 3, 0)
	take("bob", 3, 100*time.Millisecond)
	now = now.Add(100 * time.Millisecond)
	take("alice", 1, 0)
	take("alice", 1, 100*time.Millisecond)
}

func TestWhatCostsMoreThanTheBurstIsPossible(t *testing.T) {
	now := time.Unix(1767323045, 0)
	throttle := New(Options{PerSecond: 10, Burst: 5, Now: func() time.Time { return now }})
	if wait := throttle.Take("alice", 1000); wait != 0 {
		t.Errorf("waits %v", wait)
	}
	if wait := throttle.Take("alice", 1000); wait != 500*time.Millisecond {
		t.Errorf("waits %v for the next", wait)
	}
}

func TestTheNumberOfUsersIsBounded(t *testing.T) {
	now := time.Unix(1767323045, 0)
	throttle := New(Options{PerSecond: 1, Burst: 1, Users: 2, Now: func() time.Time { return now }})
	for _, user := range []string{"alice", "bob", "carol"} {
		throttle.Take(user, 1)
	}
	if n := throttle.buckets.Len(); n != 2 {
		t.Errorf("%d users are remembered", n)
	}
	if wait := throttle.Take("carol", 1); wait == 0 {
		t.Error("who was seen last is forgotten")
	}
}
