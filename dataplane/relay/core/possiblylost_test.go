// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import "testing"

// hand hands n messages over, one write each, and returns the size of one.
func (h *harness) hand(n int) int {
	m := text(Client, "0123456789")
	for range n {
		h.receive(Client, m)
		h.written(Upstream)
	}
	return len(m)
}

func TestPossiblyLostCountsTheMessagesThatWereNotAcknowledged(t *testing.T) {
	for name, tc := range map[string]struct {
		messages, unackedBytes int
		want                   uint64
	}{
		"all acknowledged":          {5, 0, 0},
		"the last byte is not":      {5, 1, 1},
		"the last message is not":   {5, 16, 1},
		"one byte more":             {5, 17, 2},
		"none acknowledged":         {5, 80, 5},
		"more bytes than there are": {5, 1000, 5},
		"the only one":              {1, 16, 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, reconnecting)
			if size := h.hand(tc.messages); size != 16 {
				t.Fatal(size)
			}
			h.lose(Upstream, BrokenSocket)
			h.Detached(tc.unackedBytes)
			if got := h.PossiblyLost(); got != tc.want {
				t.Errorf("%d possibly lost, want %d", got, tc.want)
			}
		})
	}
}

func TestPossiblyLostIsNeverTooSmall(t *testing.T) {
	for messages := 1; messages < 200; messages += 3 {
		for unacked := 0; unacked <= messages; unacked++ {
			h := open(t, reconnecting)
			size := h.hand(messages)
			h.lose(Upstream, BrokenSocket)
			h.Detached(unacked * size)
			if got := h.PossiblyLost(); got < uint64(unacked) || got > uint64(messages) {
				t.Fatalf("%d of %d messages were not acknowledged: %d possibly lost", unacked, messages, got)
			}
			if recent := maxMarks / 2; unacked < recent && h.PossiblyLost() != uint64(unacked) {
				t.Errorf("%d of %d messages were not acknowledged: %d possibly lost", unacked, messages, h.PossiblyLost())
			}
			if len(h.hold.marks) > maxMarks {
				t.Fatalf("%d marks", len(h.hold.marks))
			}
		}
	}
}

func TestPossiblyLostAddsUpOverUpstreams(t *testing.T) {
	h := open(t, reconnecting)
	for range 3 {
		size := h.hand(4)
		h.now = h.now.Add(1e10)
		h.lose(Upstream, BrokenSocket)
		h.Detached(2 * size)
		h.attach()
	}
	if got := h.PossiblyLost(); got != 6 {
		t.Errorf("%d possibly lost, want 6", got)
	}
}

func TestPossiblyLostIsExactFromWhenAutoReconnectWasSwitchedOn(t *testing.T) {
	h := open(t, nil)
	h.hand(10)
	h.apply(reconnecting)
	size := h.hand(3)
	for unacked, want := range map[int]uint64{0: 0, 2 * size: 2, 3 * size: 3, 4 * size: 13} {
		c, hold := *h.Conn, *h.hold
		c.hold = &hold
		c.Lost(h.now, Upstream, BrokenSocket)
		c.Detached(unacked)
		if got := c.PossiblyLost(); got != want {
			t.Errorf("%d bytes not acknowledged: %d possibly lost, want %d", unacked, got, want)
		}
	}
}
