// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

// slots are the numbers by which epoll knows connections.
type slots struct {
	conns []*Conn
	// unused are the numbers below len(conns) that nobody has.
	unused []int32
}

// take gives a connection a number.
func (s *slots) take(k *Conn) int32 {
	if n := len(s.unused); n > 0 {
		slot := s.unused[n-1]
		s.unused = s.unused[:n-1]
		s.conns[slot] = k
		return slot
	}
	s.conns = append(s.conns, k)
	return int32(len(s.conns) - 1)
}

// of returns who has a number; nil where nobody has, any more: an event may be
// older than what was done since in the same batch.
func (s *slots) of(slot int32) *Conn {
	if int(slot) >= len(s.conns) {
		return nil
	}
	return s.conns[slot]
}

// free takes a connection's number away. Where that was the last, the memory is
// given back, too.
func (s *slots) free(k *Conn) {
	if k.slot == none {
		return
	}
	s.conns[k.slot] = nil
	s.unused = append(s.unused, k.slot)
	k.slot = none
	if len(s.unused) == len(s.conns) {
		*s = slots{}
	}
}
