// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"sync"
	"sync/atomic"
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

func TestWhatTurnsOutToCostMoreIsPaidAfterwards(t *testing.T) {
	for _, burst := range []int{1, 2, 5} {
		now := time.Unix(1767323045, 0)
		throttle := New(Options{PerSecond: 10, Burst: burst, Now: func() time.Time { return now }})
		throttle.Take("alice", burst-1)
		if wait := throttle.Take("alice", 1); wait != 0 {
			t.Errorf("with a burst of %d the last one waits %v", burst, wait)
		}
		// The bucket is empty; a collection of any size costs one burst.
		for charged := range 1000 {
			throttle.Charge("alice", charged, charged+1)
		}
		if wait, want := throttle.Take("alice", 1), time.Duration(burst)*100*time.Millisecond; wait != want {
			t.Errorf("with a burst of %d the next waits %v, want %v", burst, wait, want)
		}
		if wait := throttle.Take("bob", 1); wait != 0 {
			t.Errorf("another waits %v", wait)
		}
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

func TestThoseWhoComeFirstTogetherShareABucket(t *testing.T) {
	now := time.Unix(1767323045, 0)
	throttle := New(Options{PerSecond: 1, Burst: 5, Now: func() time.Time { return now }})
	var taken atomic.Int32
	var together sync.WaitGroup
	begin := make(chan struct{})
	for range 100 {
		together.Go(func() {
			<-begin
			if throttle.Take("alice", 1) == 0 {
				taken.Add(1)
			}
		})
	}
	close(begin)
	together.Wait()
	if n := taken.Load(); n != 5 {
		t.Errorf("%d were let through, want 5", n)
	}
}

func TestRefusalsAtTheSameTimeCostNothing(t *testing.T) {
	now := time.Unix(1767323045, 0)
	throttle := New(Options{PerSecond: 50, Burst: 100, Now: func() time.Time { return now }})
	throttle.Take("alice", 100)
	var together sync.WaitGroup
	for range 64 {
		together.Go(func() {
			for range 100 {
				throttle.Take("alice", 1)
			}
		})
	}
	together.Wait()
	if wait := throttle.Take("alice", 1); wait != 20*time.Millisecond {
		t.Errorf("after 6400 refusals the next waits %v", wait)
	}
}
