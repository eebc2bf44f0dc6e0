// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"errors"
	"fmt"
	"time"

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

	phase    dataplanev1alpha1.Phase
	upstream string
	id       ID
	entry    *Entry // nil where the connection was gone when the change was read
	left     left   // of the connection, where it was gone
}

// toldLocked is what others get of a change.
func (r *Registry) toldLocked(c change) Change {
	told := Change{
		Stamp: c.stamp, Kind: c.kind, Before: dataplanev1alpha1.Phase(c.before),
		phase: dataplanev1alpha1.Phase(c.phase), upstream: c.upstream, id: ID{r.run, c.sequence},
	}
	if told.entry = r.order.get(c.sequence); told.entry == nil {
		told.left = r.history.left(c.sequence)
	}
	return told
}

// ID is the identity of the connection.
func (c Change) ID() ID { return c.id }

// Describe returns the connection with the phase, the upstream and the version
// that it had after the change, and with everything else as it is now; of one that
// was gone when the change was read, as it was at its end.
func (c Change) Describe() *dataplanev1alpha1.Connection {
	described := &dataplanev1alpha1.Connection{}
	if c.entry != nil {
		described = c.entry.Describe()
	} else {
		c.left.Describe(described)
		described.Name, described.Uid = c.id.Name(), c.id.UID()
	}
	described.Version, described.Phase, described.Upstream = int64(c.Stamp), c.phase, c.upstream
	described.End = nil // It may have come after the change.
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
	changes := h.from(from)
	into = into[:min(len(into), readAtOnce)]
	for c, ok := changes.next(); ok; c, ok = changes.next() {
		if n == len(into) {
			return n, c.stamp - 1, nil
		}
		into[n] = r.toldLocked(c)
		n++
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
		r.noteLocked(e, change{kind: Modified, phase: uint8(phase), upstream: upstream}) // #nosec G115 -- an enum of five.
	}
}

// noteLocked stamps a change of an entry that is there.
func (r *Registry) noteLocked(e *Entry, c change) {
	c = r.stampLocked(e, c)
	e.stamp.Store(int64(c.stamp))
	r.notedLocked(c, leftPlace{})
}

// stampLocked is a change of an entry with everything that is to be noted of it. The
// entry itself is left as it is: who still lists one that is gone must not take that
// for told.
func (r *Registry) stampLocked(e *Entry, c change) change {
	c.stamp, c.sequence, c.before = r.clock.Tick(), e.id.sequence, e.phase
	e.phase = c.phase
	return c
}

// notedLocked puts a change into the history, wakes those who wait for changes, and
// sees to it that this one is forgotten when nothing else happens.
func (r *Registry) notedLocked(c change, elsewhere leftPlace) {
	r.history.append(c, elsewhere)
	r.changed = c.stamp
	if r.wake != nil {
		close(r.wake)
		r.wake = nil
	}
	if !r.forgets && r.history.len > 0 {
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
	if r.forgets = h.len > 0; r.forgets {
		left := h.bounds.Age - time.Duration(now-h.first())*time.Microsecond
		time.AfterFunc(max(left, 0)+h.bounds.Age/8, r.forget)
	} else {
		h.clear()
	}
	return false
}
