// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"sync"
	"testing"
)

// budgeted returns a connection with autoReconnect and a budget of so many bytes.
func budgeted(t *testing.T, limit int64, change func(*Settings)) (*harness, *Budget) {
	t.Helper()
	b := NewBudget(limit)
	return open(t, func(s *Settings) {
		s.AutoReconnect, s.Budget = true, b
		if change != nil {
			change(s)
		}
	}), b
}

func TestAHeldClientIsNotReadFromWhileTheBudgetIsExhausted(t *testing.T) {
	h, b := budgeted(t, 100, nil)
	h.lose(Upstream, EndOfStream)
	if got := h.Wants(Client, 1000); got != 100 {
		t.Errorf("wants %d bytes, want 100", got)
	}
	message := text(Client, "hello")
	h.receive(Client, message)
	if got := b.Used(); got != int64(len(message)) {
		t.Errorf("%d bytes are charged, want %d", got, len(message))
	}
	if !b.Take(100 - len(message)) {
		t.Fatal("no room for others")
	}
	if got := h.Wants(Client, 1000); got != 0 {
		t.Errorf("wants %d bytes of an exhausted budget", got)
	}
	h.attach()
	h.want(Upstream, "text hello")
	if got := b.Used(); got != int64(100-len(message)) {
		t.Errorf("%d bytes are charged after all was written", got)
	}
	if got := h.Wants(Client, 1000); got != 1000 {
		t.Errorf("wants %d bytes of a client that is not held", got)
	}
	h.wantPhase(Open)
}

func TestAMessageThatWasHandedOverInPartIsNotKeptBeyondTheBudget(t *testing.T) {
	h, b := budgeted(t, 3, nil)
	h.receive(Client, begin(Client, "the begin of a message"))
	h.written(Upstream)
	if b.Used() != 0 {
		t.Errorf("%d bytes are charged", b.Used())
	}
	h.lose(Upstream, EndOfStream)
	h.wantEnd(ByNetwork, CauseUpstreamLost, 1012)
}

func TestMessagesToSayAgainAreNotKeptBeyondTheBudget(t *testing.T) {
	h, b := budgeted(t, 20, func(s *Settings) { s.ReplayMessages = 2 })
	h.receive(Client, text(Client, "login"))
	h.written(Upstream)
	if ok, why := h.Reconnectable(); !ok || b.Used() == 0 {
		t.Fatalf("%s, %d bytes are charged", why, b.Used())
	}
	h.receive(Client, text(Client, "a long subscription"))
	h.written(Upstream)
	if ok, why := h.Reconnectable(); ok || why != NotBudget || b.Used() != 0 {
		t.Errorf("reconnectable: %v, %q, %d bytes are charged", ok, why, b.Used())
	}
}

func TestAnEndGivesEverythingBack(t *testing.T) {
	h, b := budgeted(t, 1000, func(s *Settings) { s.ReplayMessages = 1 })
	h.receive(Client, text(Client, "login"))
	h.written(Upstream)
	h.lose(Upstream, EndOfStream)
	h.receive(Client, text(Client, "waits"), begin(Client, "and"))
	if b.Used() == 0 {
		t.Fatal("nothing is charged")
	}
	h.Abort(h.now)
	if b.Used() != 0 {
		t.Errorf("%d bytes are charged", b.Used())
	}
}

func TestABudgetIsNotOverdrawnByThoseWhoTakeTogether(t *testing.T) {
	b := NewBudget(1000)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10_000 {
				if b.Take(300) {
					if used := b.Used(); used < 300 {
						t.Errorf("%d bytes are charged", used)
					}
					b.Give(300)
				}
			}
		})
	}
	all.Wait()
	if b.Used() != 0 || !b.Take(1000) || b.Take(1) {
		t.Errorf("%d bytes are charged", b.Used())
	}
}

func TestNoBudgetIsNoBound(t *testing.T) {
	var b *Budget
	if !b.Take(1 << 40) {
		t.Error("nothing left")
	}
	b.Give(1 << 40)
}
