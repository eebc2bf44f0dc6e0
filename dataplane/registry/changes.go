// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"errors"
	"fmt"
	"time"
	"unique"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// Kind of a change.
type Kind uint8

// The kinds.
const (
	// Added: the connection is there, Connecting and without an upstream.
	Added Kind = iota + 1
	// Modified: its phase or its upstream is another one.
	Modified
	// Deleted: it is gone.
	Deleted
)

func (k Kind) String() string {
	return [...]string{"none", "Added", "Modified", "Deleted"}[k]
}

// Change is one step in the life of a connection. Traffic is none.
type Change struct {
	// Stamp of the change; no other one of this registry has it.
	Stamp clock.Stamp
	Kind  Kind

	// Before is the phase before the change; PHASE_UNSPECIFIED where there was none.
	Before dataplanev1alpha1.Phase

	entry    *Entry
	upstream unique.Handle[string]
	phase    dataplanev1alpha1.Phase
}

// told is what others get of a change.
func (c *change) told() Change {
	return Change{
		Stamp: c.stamp, Kind: c.kind, Before: dataplanev1alpha1.Phase(c.before),
		entry: c.entry, upstream: c.upstream, phase: dataplanev1alpha1.Phase(c.phase),
	}
}

// ID is the identity of the connection.
func (c Change) ID() ID { return c.entry.id }

// Describe returns the connection with the phase, the upstream and the version
// that it had after the change, and with everything else as it is now; of one that
// was gone when the change was read, as it was at its end.
func (c Change) Describe() *dataplanev1alpha1.Connection {
	described := c.entry.Describe()
	described.Version, described.Phase, described.Upstream = int64(c.Stamp), c.phase, ""
	described.End = nil // It may have come after the change.
	if c.upstream != (unique.Handle[string]{}) {
		described.Upstream = c.upstream.Value()
	}
	if c.phase != dataplanev1alpha1.Phase_PHASE_CLOSING {
		described.ClosingSince = nil
	}
	return described
}

// ErrForgotten says that changes which were asked for are no longer kept: who
// wants to resume there cannot, and who has followed until now was too slow. What
// is left to them is to list.
var ErrForgotten = errors.New("changes are no longer kept")

// readAtOnce bounds how long those wait for a reader who open and close: copying
// so many changes takes a few microseconds.
const readAtOnce = 512

// Changes copies changes with stamps at or above from into into, in ascending
// order, as many as fit but at most 512, and returns their number. reached says
// how far that is complete: every change ever that has a stamp from from to
// reached is among them, and who wants to follow goes on at reached+1. Where
// nothing is left out reached is the clock, which is moved up to wall time, so
// that it comes forward also while nothing happens; from itself never moves it.
// The error is ErrForgotten.
func (r *Registry) Changes(from clock.Stamp, into []Change) (n int, reached clock.Stamp, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	h := &r.history
	if from < h.floor {
		return 0, 0, fmt.Errorf("from %d: %w, only those from %d on", from, ErrForgotten, h.floor)
	}
	at := h.find(from)
	for into = into[:min(len(into), readAtOnce)]; at < h.next && n < len(into); at++ {
		into[n] = h.at(at).told()
		n++
	}
	if at < h.next {
		return n, h.at(at).stamp - 1, nil
	}
	return n, r.clock.Now(), nil // Who stamps a change holds mu.
}

// Wake returns a channel that is closed with the next change, or is closed already
// where there has been one with a stamp at or above from. Those who change never
// wait for those who wait, and do not know how many there are; nothing has to be
// given back.
func (r *Registry) Wake(from clock.Stamp) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed >= from {
		woken := make(chan struct{})
		close(woken)
		return woken
	}
	if r.wake == nil {
		r.wake = make(chan struct{})
	}
	return r.wake
}

// Report says that the phase or the upstream of a connection has changed, to what
// Describe returns from now on; so it is called with the lock held that Describe
// takes. upstream is empty while there is none. Of a connection that is not there,
// because it was removed, nothing is noted.
func (r *Registry) Report(id ID, phase dataplanev1alpha1.Phase, upstream string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.order.get(id.sequence); e != nil {
		r.noteLocked(e, change{kind: Modified, upstream: upstreamOf(upstream), phase: uint8(phase)}) // #nosec G115 -- an enum of five.
	}
}

// noteLocked stamps a change of an entry that is there.
func (r *Registry) noteLocked(e *Entry, c change) {
	c.stamp, c.entry = r.clock.Tick(), e
	e.stamp.Store(int64(c.stamp))
	r.history.append(c)
	r.notedLocked(c.stamp)
}

// notedLocked wakes those who wait for changes, and sees to it that this one is
// forgotten when nothing else happens.
func (r *Registry) notedLocked(stamp clock.Stamp) {
	r.changed = stamp
	if r.wake != nil {
		close(r.wake)
		r.wake = nil
	}
	if !r.forgets && r.history.len() > 0 {
		r.forgets = true
		time.AfterFunc(r.history.bounds.Age*9/8, r.forget)
	}
}

// forgetAtOnce bounds how long those wait who open and close.
const forgetAtOnce = 1024

// forget drops what is too old, and comes back for the rest. Dropping along with
// what is added would leave the last ones where they are.
func (r *Registry) forget() {
	for r.forgetSome() {
	}
}

func (r *Registry) forgetSome() (more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, now := &r.history, r.clock.Now()
	if h.expire(now, forgetAtOnce) {
		return true
	}
	h.release()
	if r.forgets = h.len() > 0; r.forgets {
		left := h.bounds.Age - time.Duration(now-h.at(h.first).stamp)*time.Microsecond
		time.AfterFunc(max(left, 0)+h.bounds.Age/8, r.forget)
	}
	return false
}
