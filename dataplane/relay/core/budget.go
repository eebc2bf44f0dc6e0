// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"math"
	"sync/atomic"
)

// Budget is what all connections of a process together may keep for reconnects,
// in bytes: handshakes, and messages that wait for an upstream or may have to be
// said again. A nil Budget has no bound. Any number of goroutines may use it.
//
// Who finds it exhausted does not keep more: a held client is not read from until
// something is given back or its upstream is there, so nothing is lost; what
// cannot wait is not kept, and the connection says that it is not reconnectable.
// What was read already is kept and charged in any case, so the budget may be
// exceeded by one read of each connection that was being read from.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Limit returns the number of bytes that there are.
func (b *Budget) Limit() int64 { return b.limit }

// Used returns the number of bytes that are charged.
func (b *Budget) Used() int64 { return b.used.Load() }

// Take charges n bytes, if there are so many left, and says whether there were.
// They are to be given back.
func (b *Budget) Take(n int) bool {
	switch {
	case b == nil:
		return true
	case b.used.Add(int64(n)) > b.limit:
		b.used.Add(-int64(n))
		return false
	}
	return true
}

// Give gives back what was taken.
func (b *Budget) Give(n int) { b.charge(-n) }

// left returns the number of bytes that are left.
func (b *Budget) left() int {
	if b == nil {
		return math.MaxInt
	}
	return int(max(0, b.limit-b.used.Load()))
}

// charge charges n bytes, also where they are not left.
func (b *Budget) charge(n int) {
	if b != nil {
		b.used.Add(int64(n))
	}
}

// account charges the budget with what is kept now. It is called wherever that
// changes; nothing is kept for a connection that is done.
func (c *Conn) account() {
	h := c.hold
	if h == nil {
		return
	}
	kept := int32(0)
	if c.phase != Done {
		kept = int32(len(h.buffer)+len(h.partial)+len(h.collected)) + h.replaySize + h.writing
	}
	if kept != h.charged {
		c.settings.Budget.charge(int(kept - h.charged))
		h.charged = kept
	}
}
