// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"sort"

	"github.com/wsproxy/wsproxy/api/clock"
)

// log has changes in the order of their stamps, which ascend.
type log struct {
	// chunks hold the changes; the first one from oldest on.
	chunks []*chunk
	oldest place
	end    place // of the last chunk
	len    int
}

// leftPlace is where what is left of a connection is. It outlives the log's change:
// who has it keeps its chunk.
type leftPlace struct {
	chunk *chunk
	at    int
}

func (p leftPlace) read() left { return p.chunk.leftAt(p.at) }

// add puts a change behind the others. It returns how many bytes that takes and, of one
// that is Deleted, where its left is.
func (l *log) add(c change) (took int, at leftPlace) {
	if n := len(l.chunks); n == 0 || !l.chunks[n-1].fits(c) {
		if l.len == 0 {
			*l = log{}
		}
		l.chunks, l.end = append(l.chunks, newChunk(c)), place{}
	}
	last := l.chunks[len(l.chunks)-1]
	next, leftAt := last.append(l.end, c)
	took, l.end = next.at-l.end.at, next
	l.len++
	return took, leftPlace{last, leftAt}
}

// take takes the oldest change out; there is one.
func (l *log) take() (c change, took int) {
	c, next := l.chunks[0].next(l.oldest)
	took, l.oldest = next.at-l.oldest.at, next
	l.len--
	if next.at == len(l.chunks[0].data) && len(l.chunks) > 1 {
		l.chunks[0] = nil
		l.chunks, l.oldest = l.chunks[1:], place{}
	}
	return c, took
}

// first is the stamp of the oldest change; there is one.
func (l *log) first() clock.Stamp {
	c, _ := l.chunks[0].next(l.oldest)
	return c.stamp
}

// from returns a reader of the changes at or above a stamp.
func (l *log) from(s clock.Stamp) reader {
	if l.len == 0 {
		return reader{}
	}
	// The last chunk that begins below, for the one after it begins with what is
	// looked for, or the change before that is in this one.
	i := max(sort.Search(len(l.chunks), func(i int) bool { return l.chunks[i].first >= s })-1, 0)
	r := reader{chunks: l.chunks[i:]}
	if i == 0 {
		r.at = l.oldest
	}
	for {
		before := r
		if c, ok := r.next(); !ok || c.stamp >= s {
			return before
		}
	}
}

// all returns a reader of all changes that goes on without the lock that guards the
// log: what was written of a chunk is never written again, only how much that is.
func (l *log) all() reader {
	now := make([]chunk, len(l.chunks))
	r := reader{make([]*chunk, len(l.chunks)), l.oldest}
	for i, c := range l.chunks {
		now[i] = *c
		r.chunks[i] = &now[i]
	}
	return r
}

// reader reads changes in their order.
type reader struct {
	chunks []*chunk
	at     place // in the first of them
}

// next is false behind the last one.
func (r *reader) next() (change, bool) {
	for len(r.chunks) > 0 && r.at.at == len(r.chunks[0].data) {
		r.chunks, r.at = r.chunks[1:], place{}
	}
	if len(r.chunks) == 0 {
		return change{}, false
	}
	c, next := r.chunks[0].next(r.at)
	r.at = next
	return c, true
}
