// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// visitor leaves after its first turn.
type visitor struct {
	guest *Guest
	turn  func()
}

func (v *visitor) Turn() {
	v.turn()
	v.guest.Leave()
}

func (v *visitor) Evict() { v.guest.Leave() }

func (l *Loop) invite(t *testing.T, turn func()) {
	t.Helper()
	v := &visitor{turn: turn}
	if err := l.Invite(v, func(g *Guest) { v.guest = g }); err != nil {
		t.Error(err)
	}
}

// A message that comes while many visitors wait for their first turn is passed on
// before the last of them has it.
func TestAFloodOfVisitorsDoesNotHoldUpMessages(t *testing.T) {
	l := startLoop(t)
	c := open(t, l, nil)
	eventually(t, "the connection is known", func() bool { return c.state(core.Client).generation != 0 })

	begun, all, over := make(chan struct{}), make(chan struct{}), make(chan uint64)
	l.invite(t, func() {
		close(begun)
		<-all // The worker finds all others at once.
	})
	<-begun
	l.invite(t, func() {
		sent := message(100)
		if _, err := c.client.Write(sent); err != nil {
			t.Error(err)
		}
		for begun := time.Now(); time.Since(begun) < patience; {
			if n, err := unix.IoctlGetInt(int(c.k.legs[core.Client].fd), unix.SIOCINQ); err != nil || n == len(sent) {
				return
			}
		}
	})
	for range 2 * maxCalls {
		l.invite(t, func() {})
	}
	l.invite(t, func() { over <- c.moved(core.Client) })
	close(all)
	if <-over == 0 {
		t.Error("the message waits until everybody had a turn")
	}
}

// Each deadline is a look at all guests: were there as many of both, clients that say
// nothing would cost the square of their number.
func TestDeadlinesOfManyGuestsAreFew(t *testing.T) {
	w := &worker{}
	at := map[core.Instant]bool{}
	for i := range 1000 {
		w.now = core.Instant(time.Duration(i+1) * time.Millisecond)
		g := &Guest{conn: &Conn{worker: w}}
		g.SetDeadline(w.now.Add(10 * time.Second))
		at[g.Deadline()] = true
	}
	if len(at) > 20 {
		t.Errorf("%d deadlines of 1000 guests who came in a second", len(at))
	}
}
