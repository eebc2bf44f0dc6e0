// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// What is remembered of connections that have ended: the end of a connection that
// somebody asks about was minutes ago, and addresses of clients who have left are
// not kept without need. An ordinary one takes 250 bytes, and is counted with 350, as
// if nobody else had said the same; so all 10,000 fit.
const (
	closedAge   = 10 * time.Minute
	closedMost  = 10_000
	closedBytes = 4 << 20
	// closedEvery is how often what is too old is looked for.
	closedEvery = closedAge / 60
)

// closed remembers connections that were opened and have ended, in the order of their
// ends. What is left of one is what the history has, so it is there once for both.
// It is guarded by the registry's mu.
type closed struct {
	slots []slot
	bytes int
	// forgets: a timer is set to drop what is too old.
	forgets bool
}

func (c *closed) append(e *Entry) {
	c.slots = append(c.slots, slot{e.id.sequence, e})
	c.bytes += rememberedBytes(e)
	for len(c.slots) > closedMost || c.bytes > closedBytes {
		c.drop()
	}
}

// drop forgets the one that ended first.
func (c *closed) drop() {
	c.bytes -= rememberedBytes(c.slots[0].entry)
	c.slots[0] = slot{}
	c.slots = c.slots[1:]
}

// rememberedBytes is what one that has ended takes in memory.
func rememberedBytes(e *Entry) int {
	const slotBytes = 16
	if left, ok := e.connection.(*ended); ok {
		return slotBytes + left.bytes()
	}
	return slotBytes
}

// rememberLocked remembers what is left of a connection.
func (r *Registry) rememberLocked(left *Entry) {
	r.closed.append(left)
	if !r.closed.forgets {
		r.closed.forgets = true
		time.AfterFunc(closedAge, r.forgetClosed)
	}
}

// forgetClosed drops what is too old, and comes back for the rest.
func (r *Registry) forgetClosed() {
	for r.forgetSomeClosed() {
	}
}

func (r *Registry) forgetSomeClosed() (more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, now := &r.closed, r.clock.Now()
	for range forgetAtOnce {
		if len(c.slots) == 0 {
			*c = closed{}
			return false
		}
		age := time.Duration(now-c.slots[0].entry.Stamp()) * time.Microsecond
		if age < closedAge {
			time.AfterFunc(max(closedAge-age, closedEvery), r.forgetClosed)
			return false
		}
		c.drop()
	}
	return true
}

// GetClosed returns the entry of that name if its connection was opened, has ended
// and is remembered, or nil.
func (r *Registry) GetClosed(name string) *Entry {
	pod, sequence, ok := parseName(name)
	if !ok || pod != r.run.pod {
		return nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, s := range r.closed.slots {
		if s.sequence == sequence {
			return s.entry
		}
	}
	return nil
}

// ClosedAfter is After of connections that were opened, have ended and are
// remembered.
func (r *Registry) ClosedAfter(name string, limit int) (page []*Entry, remaining int) {
	r.mu.RLock()
	all := slices.Clone(r.closed.slots)
	r.mu.RUnlock()
	slices.SortFunc(all, func(a, b slot) int { return cmp.Compare(a.sequence, b.sequence) })
	var buffer [nameLength]byte
	all = all[sort.Search(len(all), func(i int) bool {
		return string(appendName(buffer[:0], r.run.pod, all[i].sequence)) > name
	}):]
	page = make([]*Entry, 0, max(0, min(limit, len(all))))
	for _, s := range all[:cap(page)] {
		page = append(page, s.entry)
	}
	return page, len(all) - len(page)
}
