// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

// simKept is what was kept, and what the budget had left, after a step.
type simKept struct {
	bytes, left int
	known       bool
}

// checkBudget holds after every step.
func (s *sim) checkBudget() {
	h := s.conn.hold
	if h == nil {
		h = &hold{}
	}
	kept := len(h.buffer) + len(h.partial) + len(h.collected)
	for _, message := range h.replay {
		kept += len(message)
	}
	if out := &s.conn.legs[Upstream].out; out.taken {
		kept += int(h.writing) // What Rest has of it may be less.
	}
	if s.conn.Phase() == Done {
		kept = 0
	}
	if got := s.budget.Used() - s.theirs; got != int64(kept) {
		s.fault(BudgetExact, "%d bytes are kept, %d are charged", kept, got)
	}
	up := &s.conn.legs[Upstream]
	lost := up.gone || up.out.broken // What it was to get was read already.
	now := simKept{kept, s.budget.left(), true}
	if before := s.kept; before.known && before.left == 0 && now.bytes > before.bytes && !lost && !s.conn.holding() {
		s.fault(BudgetBounds, "%d bytes are kept after %d, though the budget is exhausted", now.bytes, before.bytes)
	}
	s.kept = now
}
