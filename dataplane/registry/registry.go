// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"iter"
	"sort"
	"sync"
	"time"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// pageSize is how many entries All takes at a time: enough to make the lock
// cheap, few enough that nobody waits for it.
const pageSize = 512

// Options are what a Registry is made from; all are optional.
type Options struct {
	// Now is wall time; nil is time.Now.
	Now func() time.Time
	// History bounds what is kept of the past.
	History Bounds
}

// Registry holds the live connections of one process, the recent changes of their
// lives, and how those ended that are gone. Any number of goroutines may use it. Its
// lock is never held for longer than it takes to copy a page, and nobody who reads,
// lists or waits makes it longer.
type Registry struct {
	run    *run
	clock  *clock.Clock
	places places

	mu sync.RWMutex
	// The fields below are guarded by mu.
	next    uint64 // The sequence of the next connection.
	order   order
	history history
	closed  closed
	changed clock.Stamp   // The last change.
	wake    chan struct{} // Closed at the next change; nil where nobody waits.
	forgets bool          // A timer is set to drop what is too old.
}

// New returns an empty registry that issues names of the given pod.
func New(pod PodID) *Registry { return NewWith(pod, Options{}) }

// NewWith is New with options.
func NewWith(pod PodID, o Options) *Registry {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Registry{
		run: newRun(pod), clock: clock.New(o.Now), history: history{bounds: o.History.complete()},
	}
}

// PodID is the first part of every name that is issued here.
func (r *Registry) PodID() PodID { return r.run.pod }

// Clock stamps the changes. Whoever moves it past a stamp s and lists afterwards
// sees every change up to s in the list, and every later one among the Changes
// above s. Those in between, which came while it listed, may be in both: an entry
// whose Stamp is not below that of a change shows it already.
func (r *Registry) Clock() *clock.Clock { return r.clock }

// Add issues an identity, has build make the connection that carries it, and
// makes that visible: Connecting and without an upstream, until Report says more.
// Because names must become visible in their order, build is called under the
// lock: it may construct but not wait, and not call the registry.
func (r *Registry) Add(build func(ID) Connection) *Entry {
	e := &Entry{}
	r.add(e, build)
	return e
}

// AddIn is Add of a connection that has memory for its own entry, which is zero
// before and may be used afterwards.
func (r *Registry) AddIn(e *Entry, connection Connection) {
	r.add(e, func(ID) Connection { return connection })
}

func (r *Registry) add(e *Entry, build func(ID) Connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.id = ID{r.run, r.next}
	e.connection = build(e.id)
	r.next++
	r.order.append(e)
	r.noteLocked(e, change{kind: Added, phase: uint8(dataplanev1alpha1.Phase_PHASE_CONNECTING)})
}

// Remove takes an entry out, as the connection describes itself: the caller must
// not hold a lock that it needs for that. Removing it again does nothing.
func (r *Registry) Remove(e *Entry) {
	last := &dataplanev1alpha1.Connection{}
	e.connection.Describe(last)
	r.RemoveAs(e.id, last)
}

// RemoveAs takes the entry of a connection out whose last state is given, and from
// here on the registry's. One that says how it ended is remembered. Removing it again
// does nothing.
func (r *Registry) RemoveAs(id ID, last *dataplanev1alpha1.Connection) {
	state := leftOf(last)

	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.order.remove(id.sequence)
	if e == nil {
		return
	}
	c := r.stampLocked(e, change{kind: Deleted, phase: uint8(last.GetPhase()), upstream: last.GetUpstream(), left: state}) // #nosec G115 -- an enum of five.
	var elsewhere leftPlace
	if last.GetEnd() != nil {
		elsewhere = r.rememberLocked(c)
		c.left = noLeft
	}
	r.notedLocked(c, elsewhere)
}

// Get returns the entry of that name, or nil.
func (r *Registry) Get(name string) *Entry {
	pod, sequence, ok := parseName(name)
	if !ok || pod != r.run.pod {
		return nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.order.get(sequence)
}

// After returns at most limit entries with names greater than the given one,
// which may be any text, in the order of their names, and how many there are
// beyond those. Who reads on after the last name of each page sees every
// connection that is open all the time, each once.
func (r *Registry) After(name string, limit int) (page []*Entry, remaining int) {
	var buffer [nameLength]byte

	r.mu.RLock()
	defer r.mu.RUnlock()
	from := sort.Search(len(r.order.slots), func(i int) bool {
		return string(appendName(buffer[:0], r.run.pod, r.order.slots[i].sequence)) > name
	})
	return r.order.from(from, limit)
}

// All yields the live connections in the order of their names without holding
// the lock while it yields.
func (r *Registry) All() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		after := ""
		for {
			page, remaining := r.After(after, pageSize)
			for _, e := range page {
				if !yield(e) {
					return
				}
			}
			if remaining == 0 {
				return
			}
			after = page[len(page)-1].id.Name()
		}
	}
}

// Len is the number of live connections.
func (r *Registry) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.order.live
}
