// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import "github.com/wsproxy/wsproxy/dataplane/relay/core"

// timers is a heap of the moments at which connections want to be looked at. It is
// lazy: a moment that has moved away is found out when it comes, so a connection
// that talks does not move its timer.
type timers struct{ heap []timer }

type timer struct {
	at   core.Instant
	conn *Conn
}

// set makes the worker look at a connection at that moment, if it would not do so
// before.
func (t *timers) set(k *Conn, at core.Instant) {
	if k.timer == none {
		k.timer = int32(len(t.heap))
		t.heap = append(t.heap, timer{at, k})
	} else if t.heap[k.timer].at <= at {
		return
	}
	t.heap[k.timer].at = at
	t.up(int(k.timer))
}

// next returns when the first is due; 0 is never.
func (t *timers) next() core.Instant {
	if len(t.heap) == 0 {
		return 0
	}
	return t.heap[0].at
}

// due returns a connection that is due, which then has no timer; nil where there is
// none.
func (t *timers) due(now core.Instant) *Conn {
	if len(t.heap) == 0 || t.heap[0].at > now {
		return nil
	}
	k := t.heap[0].conn
	t.remove(k)
	return k
}

// remove takes a connection's timer away.
func (t *timers) remove(k *Conn) {
	if k.timer == none {
		return
	}
	i, last := int(k.timer), len(t.heap)-1
	k.timer = none
	moved := t.heap[last]
	t.heap[last] = timer{}
	t.heap = shrunk(t.heap[:last])
	if i == last {
		return
	}
	t.heap[i] = moved
	moved.conn.timer = int32(i)
	t.up(i)
	t.down(int(moved.conn.timer))
}

func (t *timers) up(i int) {
	for i > 0 && t.heap[i].at < t.heap[(i-1)/2].at {
		t.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (t *timers) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(t.heap); child++ {
			if t.heap[child].at < t.heap[least].at {
				least = child
			}
		}
		if least == i {
			return
		}
		t.swap(i, least)
		i = least
	}
}

func (t *timers) swap(i, j int) {
	h := t.heap
	h[i], h[j] = h[j], h[i]
	h[i].conn.timer, h[j].conn.timer = int32(i), int32(j)
}

// few are not worth to give their memory back.
const few = 1024

// shrunk gives memory back that many connections left behind.
func shrunk[T any](s []T) []T {
	if cap(s) > few && cap(s) > 4*len(s) {
		return append(make([]T, 0, 2*len(s)), s...)
	}
	return s
}
