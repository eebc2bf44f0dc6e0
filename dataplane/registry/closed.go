// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"slices"
	"time"
)

// What is remembered of connections that have ended: the end of a connection that
// somebody asks about was minutes ago, and addresses of clients who have left are
// not kept without need. An ordinary one takes about 90 bytes, and is counted with
// 240, as if nobody else had said the same; so all 10,000 fit.
const (
	closedAge   = 10 * time.Minute
	closedMost  = 10_000
	closedBytes = 4 << 20
	// closedEvery is how often what is too old is looked for.
	closedEvery = closedAge / 60
)

// closed remembers connections that were opened and have ended, in the order of their
// ends. It is guarded by the registry's mu.
type closed struct {
	log
	// bytes that they take.
	bytes int
	// forgets: a timer is set to drop what is too old.
	forgets bool
}

// append adds the end of a connection, and returns where what is left of it is.
func (c *closed) append(n change) leftPlace {
	took, at := c.add(n)
	c.bytes += took + n.left.said.Value().bytes()
	for c.len > closedMost || c.bytes > closedBytes {
		c.drop()
	}
	return at
}

// drop forgets the one that ended first.
func (c *closed) drop() {
	n, took := c.take()
	c.bytes -= took + n.left.said.Value().bytes()
}

// rememberLocked remembers a connection.
func (r *Registry) rememberLocked(c change) leftPlace {
	if !r.closed.forgets {
		r.closed.forgets = true
		time.AfterFunc(closedAge, r.forgetClosed)
	}
	return r.closed.append(c)
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
		if c.len == 0 {
			*c = closed{}
			return false
		}
		age := time.Duration(now-c.first()) * time.Microsecond
		if age < closedAge {
			time.AfterFunc(max(closedAge-age, closedEvery), r.forgetClosed)
			return false
		}
		c.drop()
	}
	return true
}

// remembered are those that have ended, in the order of their ends.
func (r *Registry) remembered() reader {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.closed.all()
}

// GetClosed returns the entry of that name if its connection was opened, has ended
// and is remembered, or nil.
func (r *Registry) GetClosed(name string) *Entry {
	pod, sequence, ok := parseName(name)
	if !ok || pod != r.run.pod {
		return nil
	}
	ends := r.remembered()
	for c, ok := ends.next(); ok; c, ok = ends.next() {
		if c.sequence == sequence {
			return r.past(c)
		}
	}
	return nil
}

// ClosedAfter is After of connections that were opened, have ended and are
// remembered.
func (r *Registry) ClosedAfter(name string, limit int) (page []*Entry, remaining int) {
	var (
		buffer [nameLength]byte
		found  []change
	)
	ends := r.remembered()
	for c, ok := ends.next(); ok; c, ok = ends.next() {
		if string(appendName(buffer[:0], r.run.pod, c.sequence)) > name {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b change) int { return cmp.Compare(a.sequence, b.sequence) })
	page = make([]*Entry, 0, max(0, min(limit, len(found))))
	for _, c := range found[:cap(page)] {
		page = append(page, r.past(c))
	}
	return page, len(found) - len(page)
}

// past is the entry of a connection that has ended.
func (r *Registry) past(c change) *Entry {
	e := &Entry{id: ID{r.run, c.sequence}, connection: c.left}
	e.stamp.Store(int64(c.stamp))
	return e
}
