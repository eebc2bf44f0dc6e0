// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import "slices"

// mark says how many messages had been handed over whole when the upstream's
// socket had taken so many bytes.
type mark struct {
	written, delivered uint64
}

// maxMarks bounds the marks of a connection; at 16 bytes each that is 512 bytes,
// for connections with autoReconnect only.
const maxMarks = 32

// mark notes how far the handing over has come. When there are too many marks,
// every second of the older half goes: the recent past, which is what a loss asks
// for, stays exact, and what is left out makes the bound larger, never smaller.
func (h *retained) mark(written, delivered uint64) {
	if n := len(h.marks); n > 0 && h.marks[n-1].delivered == delivered {
		return
	}
	if len(h.marks) == maxMarks {
		kept := h.marks[:1] // the first covers whatever is older
		for i := 2; i < maxMarks/2; i += 2 {
			kept = append(kept, h.marks[i])
		}
		h.marks = append(kept, h.marks[maxMarks/2:]...)
	}
	h.marks = append(h.marks, mark{written, delivered})
}

// amongLast returns how many of the delivered messages may have been among the last
// unacked bytes of written, at most.
func (h *retained) amongLast(written uint64, unacked int, delivered uint64) uint64 {
	if unacked <= 0 || len(h.marks) == 0 {
		return 0
	}
	acked := written - min(written, uint64(unacked))
	// The last mark that is acknowledged as a whole.
	i, _ := slices.BinarySearchFunc(h.marks, acked+1, func(m mark, bytes uint64) int {
		switch {
		case m.written < bytes:
			return -1
		case m.written > bytes:
			return 1
		}
		return 0
	})
	return delivered - h.marks[max(i-1, 0)].delivered
}
