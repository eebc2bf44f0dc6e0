// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package heap

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// interval is how long after something the heap is looked at, and how often
	// while more happens. A look takes a few microseconds.
	interval = 250 * time.Millisecond
	// many things that happen in an interval are a burst. During a burst Go's own
	// collector runs often enough, and what was given back would be taken again.
	many = 64
	// seldom is how often it is looked at when nothing has happened for a while, as
	// later says, and patience for how long, if hardly anything is allocated either:
	// what is kept of the past of connections becomes garbage after two minutes, and
	// pings of silent connections leave some.
	later    = 10 * time.Second
	seldom   = 5 * time.Second
	patience = 3 * time.Minute
	// hardly any is what a look allocates, and what else there always is.
	hardlyAny = 64 << 10
	// rest is the time from one collection to the next per MiB that is live. To mark
	// and sweep as much takes about a millisecond, so collecting takes about 1 % of
	// one processor at most.
	rest = 100 * time.Millisecond
)

// Keeper collects garbage and gives memory back, where that is worth it, after
// something has happened and no burst is under way. While nothing happens it does
// nothing: it has no goroutine, and no timer.
type Keeper struct {
	read    func() usage
	collect func()

	happened atomic.Uint64
	awake    atomic.Bool // a look is to come

	mu sync.Mutex
	// The fields below are guarded by mu.
	seen      uint64    // what had happened at the last look
	used      usage     // what the last look found
	last      time.Time // the last look that found that something had happened
	stirred   time.Time // the last one that found that, or that something was allocated
	notBefore time.Time // when the next collection may be
}

// NewKeeper returns a keeper of this process's heap. It does not stop others for
// longer than Go's collector always does.
func NewKeeper() *Keeper { return &Keeper{read: read, collect: debug.FreeOSMemory} }

// Note says that something happened that leaves garbage behind: a connection came
// or went. It takes a few nanoseconds.
func (k *Keeper) Note() {
	k.happened.Add(1)
	if !k.awake.Load() && k.awake.CompareAndSwap(false, true) {
		time.AfterFunc(interval, k.look)
	}
}

// look collects what is worth it, and comes back as long as something happens.
func (k *Keeper) look() {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	happened := k.happened.Load()
	fresh := happened - k.seen
	k.seen = happened
	used := k.read()
	if fresh > 0 {
		k.last = now
	}
	if fresh > 0 || used.since > k.used.since+hardlyAny {
		k.stirred = now
	}
	if fresh <= many && worthIt(used) && !now.Before(k.notBefore) {
		k.collect()
		used = k.read()
		k.notBefore = time.Now().Add(time.Duration(used.live>>20) * rest)
	}
	k.used = used
	switch {
	case now.Sub(k.last) < later:
		time.AfterFunc(interval, k.look)
	case now.Sub(k.stirred) < patience || now.Before(k.notBefore):
		time.AfterFunc(seldom, k.look)
	default:
		// What has become garbage without anything being allocated is not seen by
		// looking: the past of connections, among others.
		k.collect()
		k.awake.Store(false)
		if k.happened.Load() != happened && k.awake.CompareAndSwap(false, true) {
			time.AfterFunc(interval, k.look) // It happened while this look was under way.
		}
	}
}

// worthIt says whether collecting now gives back enough: an eighth of what is live,
// and a megabyte at least.
func worthIt(u usage) bool {
	const least = 1 << 20
	return u.since+u.free > max(u.live/8, least)
}
