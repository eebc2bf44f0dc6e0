// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"iter"
	"sort"
	"sync"
)

// pageSize is how many entries All takes at a time: enough to make the lock
// cheap, few enough that nobody waits for it.
const pageSize = 512

// Registry holds the live connections of one process. Any number of goroutines
// may use it.
type Registry struct {
	pod    PodID
	places places

	mu sync.RWMutex
	// The fields below are guarded by mu.
	next  uint64 // The sequence of the next connection.
	order order
}

// New returns an empty registry that issues names of the given pod.
func New(pod PodID) *Registry {
	return &Registry{pod: pod, places: newPlaces()}
}

// PodID is the first part of every name that is issued here.
func (r *Registry) PodID() PodID { return r.pod }

// Add issues an identity, has build make the connection that carries it, and
// makes that visible. Because names must become visible in their order, build is
// called under the lock: it may construct but not wait, and not call the
// registry.
func (r *Registry) Add(build func(ID) Connection) *Entry {
	uid := newUID()

	r.mu.Lock()
	defer r.mu.Unlock()
	e := &Entry{id: ID{pod: r.pod, sequence: r.next, uid: uid}}
	e.connection = build(e.id)
	r.next++
	r.order.append(e)
	return e
}

// Remove takes an entry out. Removing it again does nothing.
func (r *Registry) Remove(e *Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.order.remove(e.id.sequence)
}

// Get returns the entry of that name, or nil.
func (r *Registry) Get(name string) *Entry {
	pod, sequence, ok := parseName(name)
	if !ok || pod != r.pod {
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
		return string(appendName(buffer[:0], r.pod, r.order.slots[i].sequence)) > name
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
