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
	// later, when nothing more has happened, it is looked at seldom, for as long as
	// patience says: what is kept of the past of connections becomes garbage after
	// two minutes.
	later    = 10 * time.Second
	seldom   = 5 * time.Second
	patience = 3 * time.Minute
	// many things that happen in an interval are a burst. During a burst Go's own
	// collector runs often enough, and what was given back would be taken again.
	many = 64
	// share of one processor's time that collecting may take, as the number of times
	// that as much time as a collection took has to pass before the next: 1 %.
	share = 100
)

// Keeper collects garbage and gives memory back, where that is worth it, after
// something has happened and no burst is under way. While nothing happens it does
// nothing: it has no goroutine, and no timer.
type Keeper struct {
	read    func() usage
	collect func() time.Duration

	happened atomic.Uint64
	awake    atomic.Bool // a look is to come

	mu sync.Mutex
	// The fields below are guarded by mu.
	seen      uint64    // what had happened at the last look
	last      time.Time // the last look that found that something had happened
	notBefore time.Time // when the next collection may be
}

// NewKeeper returns a keeper of this process's heap.
func NewKeeper() *Keeper { return &Keeper{read: read, collect: collect} }

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
	if fresh > 0 {
		k.last = now
	}
	wait := interval
	if now.Sub(k.last) > later {
		wait = seldom
	}
	worth := fresh <= many && worthIt(k.read())
	switch {
	case worth && now.Before(k.notBefore):
		wait = max(wait, k.notBefore.Sub(now))
	case worth:
		worth = false
		k.notBefore = time.Now().Add(k.collect() * share)
	}
	if worth || now.Sub(k.last) < patience {
		time.AfterFunc(wait, k.look)
		return
	}
	k.awake.Store(false)
	if k.happened.Load() != happened && k.awake.CompareAndSwap(false, true) {
		time.AfterFunc(interval, k.look) // It happened after it was read, while somebody was awake.
	}
}

// worthIt says whether collecting now gives back enough: an eighth of what is live,
// and a megabyte at least.
func worthIt(u usage) bool {
	const least = 1 << 20
	return u.since+u.free > max(u.live/8, least)
}

// collect collects garbage, gives back what is free, and returns the processor time
// that the collector took. It does not stop others for longer than the collector
// always does.
func collect() time.Duration {
	before := read()
	debug.FreeOSMemory()
	return read().collecting - before.collecting
}
