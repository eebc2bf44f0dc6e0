// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/wsproxy/wsproxy/api/clock"
)

// What is remembered of connections that have ended: the end of a connection that
// somebody asks about was minutes ago, and addresses of clients who have left are
// not kept without need. An ordinary one takes about 130 bytes, and is counted with
// 270, as if nobody else had said the same; so all 10,000 fit.
const (
	closedAge   = 10 * time.Minute
	closedMost  = 10_000
	closedBytes = 4 << 20
	// closedEvery is how often what is too old is looked for.
	closedEvery = closedAge / 60
)

// closed remembers connections that were opened and have ended, in the order of their
// ends. Of what is left of one, the texts are those that the history has: they are
// there once for both. It is guarded by the registry's mu.
type closed struct {
	// lives are never changed, only put behind others or left out, so that who has the
	// slice may read it without mu.
	lives []life
	bytes int
	// forgets: a timer is set to drop what is too old.
	forgets bool
}

// life is a connection that has ended; lifeBytes bytes and its texts.
type life struct {
	sequence uint64
	stamp    clock.Stamp
	ended
}

const lifeBytes = 40

func (l *life) bytes() int { return lifeBytes + l.texts() }

func (c *closed) append(l life) {
	c.lives = append(c.lives, l)
	c.bytes += l.bytes()
	for len(c.lives) > closedMost || c.bytes > closedBytes {
		c.drop()
	}
}

// drop forgets the one that ended first.
func (c *closed) drop() {
	c.bytes -= c.lives[0].bytes()
	c.lives = c.lives[1:]
}

// rememberLocked remembers a connection.
func (r *Registry) rememberLocked(l life) {
	r.closed.append(l)
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
		if len(c.lives) == 0 {
			*c = closed{}
			return false
		}
		age := time.Duration(now-c.lives[0].stamp) * time.Microsecond
		if age < closedAge {
			// What was dropped is kept by the rest of the array.
			c.lives = slices.Clone(c.lives)
			time.AfterFunc(max(closedAge-age, closedEvery), r.forgetClosed)
			return false
		}
		c.drop()
	}
	return true
}

// remembered are those that have ended, in the order of their ends.
func (r *Registry) remembered() []life {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.closed.lives
}

// GetClosed returns the entry of that name if its connection was opened, has ended
// and is remembered, or nil.
func (r *Registry) GetClosed(name string) *Entry {
	pod, sequence, ok := parseName(name)
	if !ok || pod != r.run.pod {
		return nil
	}
	lives := r.remembered()
	if i := slices.IndexFunc(lives, func(l life) bool { return l.sequence == sequence }); i >= 0 {
		return r.past(&lives[i])
	}
	return nil
}

// ClosedAfter is After of connections that were opened, have ended and are
// remembered.
func (r *Registry) ClosedAfter(name string, limit int) (page []*Entry, remaining int) {
	lives := r.remembered()
	sorted := make([]*life, 0, len(lives))
	for i := range lives {
		sorted = append(sorted, &lives[i])
	}
	slices.SortFunc(sorted, func(a, b *life) int { return cmp.Compare(a.sequence, b.sequence) })
	var buffer [nameLength]byte
	sorted = sorted[sort.Search(len(sorted), func(i int) bool {
		return string(appendName(buffer[:0], r.run.pod, sorted[i].sequence)) > name
	}):]
	page = make([]*Entry, 0, max(0, min(limit, len(sorted))))
	for _, l := range sorted[:cap(page)] {
		page = append(page, r.past(l))
	}
	return page, len(sorted) - len(page)
}

// past is the entry of a connection that has ended.
func (r *Registry) past(l *life) *Entry {
	e := &Entry{id: ID{r.run, l.sequence}, connection: &l.ended}
	e.stamp.Store(int64(l.stamp))
	return e
}
