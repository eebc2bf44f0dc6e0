// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/lru"
)

// Options of a Throttle.
type Options struct {
	// PerSecond is how many changes a user may make for ever; it is positive.
	PerSecond float64
	// Burst is how many changes a user may make at once after a pause; at least 1.
	Burst int
	// Users is how many users are remembered; who has not been seen for longest
	// is forgotten first, and begins with a full burst. Default 10,000.
	Users int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Throttle has a token bucket for each user. Any number of goroutines may use
// it.
type Throttle struct {
	options Options

	mu sync.Mutex
	// buckets is guarded by mu, and so is what is in them.
	buckets *lru.Cache
}

// New returns a Throttle that has seen nobody.
func New(options Options) *Throttle {
	if options.Users == 0 {
		options.Users = 10_000
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Throttle{options: options, buckets: lru.New(options.Users)}
}

// Take lets a user make a change that counts as many as cost, but never more than
// the burst, which would be too much for ever. It returns 0, or, when the user
// has to wait, how long; then nothing is taken.
func (t *Throttle) Take(user string, cost int) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.options.Now()
	// What is reserved and given back is whole again only if nobody reserved in
	// between.
	reservation := t.bucketLocked(user).ReserveN(now, min(cost, t.options.Burst))
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// Charge makes a change for which one has been taken count as more, from so many
// on that have been charged to so many, but all together never as more than the
// burst. They are taken even where they are not there: the change goes on, and
// the next one has to wait for them as well.
func (t *Throttle) Charge(user string, from, to int) {
	most := t.options.Burst - 1
	if cost := min(to, most) - min(from, most); cost > 0 {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.bucketLocked(user).ReserveN(t.options.Now(), cost)
	}
}

func (t *Throttle) bucketLocked(user string) *rate.Limiter {
	if known, ok := t.buckets.Get(user); ok {
		return known.(*rate.Limiter)
	}
	made := rate.NewLimiter(rate.Limit(t.options.PerSecond), t.options.Burst)
	t.buckets.Add(user, made)
	return made
}

// Error is what a user is told who has to wait, because of too many of what.
func Error(what string, wait time.Duration) error {
	return apierrors.NewTooManyRequests("too many "+what+" by this user, others are not affected", int(math.Ceil(wait.Seconds())))
}
