// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"bytes"
	"slices"
	"time"
)

// simPump is what a driver does with what comes from one side.
type simPump struct {
	writing bool
	to      *simPeer
	batch   [][]byte
	done    int
	buffer  []byte
	// reading is who is being read from, up to atMost bytes, while the connection
	// goes on.
	reading *simPeer
	atMost  int
}

// simWindow is how many bytes a peer's kernel holds for it.
const simWindow = 400

// pump does a part of what the driver does for one side: it goes on writing, or
// takes what there is to write, or reads.
func (s *sim) pump(from Side) {
	p, to := &s.pumps[from], from.Other()
	switch {
	case p.writing:
		s.write(from)
		return
	case p.reading != nil:
		s.read(from)
		return
	}
	if s.conn.Phase() == Done {
		return
	}
	if batch := s.conn.Take(to); batch != nil {
		if s.peer(to) == nil {
			s.fault(OneDriver, "bytes for the %s, which is not there", to)
			return
		}
		*p = simPump{writing: true, to: s.peer(to), batch: slices.Clone(batch), buffer: p.buffer}
		s.pause(from)
		return
	}
	for i := range p.buffer {
		p.buffer[i] = 0xee // It may be used for something else from now on.
	}
	p.buffer = nil
	peer := s.peer(from)
	atMost := s.conn.Wants(from, simChunk)
	if from == Client && s.conn.holding() && atMost > s.budget.left() {
		s.fault(BudgetBounds, "%d bytes are read for a held client, the budget has %d", atMost, s.budget.left())
	}
	if atMost == 0 || peer == nil {
		s.pause(from)
		return
	}
	s.model.legs[from].paused = false
	s.conn.Resume(s.now, from)
	if s.conn.TakesRearm() {
		s.rearm()
	}
	p.reading, p.atMost = peer, atMost
	if s.rng.IntN(2) == 0 {
		s.read(from)
	}
}

func (s *sim) pause(side Side) {
	s.conn.Pause(s.now, side)
	s.model.legs[side].paused = true
}

// read ends a read: with bytes, with the end of the socket, or because something
// is to be written.
func (s *sim) read(from Side) {
	p, peer := &s.pumps[from], s.pumps[from].reading
	p.reading = nil
	if peer != s.peer(from) {
		return // It was given up meanwhile.
	}
	if n := min(p.atMost, len(peer.toProxy)); n > 0 {
		n = 1 + s.rng.IntN(n)
		p.buffer = append([]byte(nil), peer.toProxy[:n]...)
		peer.toProxy = peer.toProxy[n:]
		s.receive(from, peer, p.buffer)
		return
	}
	if peer.fin || peer.reset {
		how := EndOfStream
		if peer.reset {
			how = BrokenSocket
		}
		s.gone[from] = true
		s.conn.Lost(s.now, from, how)
		s.after("%s lost", peer.name)
	}
}

// receive hands bytes to the connection.
func (s *sim) receive(from Side, peer *simPeer, b []byte) {
	leg := &s.conn.legs[from]
	held := from == Client && s.conn.Phase() == Reconnecting
	if !leg.gone {
		s.model.heard(from, peer, len(b), s.now)
		peer.consumed += len(b)
	}
	s.conn.Receive(s.now, from, b)
	s.after("%d bytes from %s", len(b), peer.name)
	if held && s.conn.Phase() == Reconnecting {
		s.checkHeldPing(peer, len(b))
	}
}

// write gives bytes of a batch to the kernel, which takes what it has room for.
func (s *sim) write(from Side) {
	p := &s.pumps[from]
	total := 0
	for _, b := range p.batch {
		total += len(b)
	}
	failed := p.to.dead || p.to.reset && s.rng.IntN(2) == 0
	if p.done < total && !failed {
		room := max(0, min(simWindow-len(p.to.fromProxy), total-p.done))
		if room > 0 {
			room = 1 + s.rng.IntN(room)
		}
		taken := slices.Concat(p.batch...)[p.done : p.done+room]
		p.to.fromProxy = append(p.to.fromProxy, taken...)
		if p.to.side == Client {
			p.to.took = append(p.to.took, taken...)
		}
		p.to.outstanding(s.now)
		p.done += room
		if p.done < total && s.rng.IntN(3) == 0 {
			s.keep(from)
		}
		return
	}
	if p.done == total {
		failed = false
	}
	if failed || p.done == total {
		p.writing, p.batch = false, nil
		s.conn.Wrote(s.now, from.Other(), p.done, failed)
		s.after("wrote %d of %d bytes to %s, failed: %v", p.done, total, p.to.name, failed)
	}
}

// keep is what a driver does that does not wait for a socket: it uses its buffer
// for something else and goes on with what the core kept.
func (s *sim) keep(from Side) {
	p, to := &s.pumps[from], from.Other()
	left := slices.Concat(p.batch...)[p.done:]
	s.conn.Kept(to, p.done)
	for i := range p.buffer {
		p.buffer[i] = 0xdd
	}
	p.batch, p.done = slices.Clone(s.conn.Rest(to)), 0
	if rest := slices.Concat(p.batch...); !bytes.Equal(rest, left) {
		s.fault(RestKept, "%d bytes were left for the %s, %d were kept, or others", len(left), to, len(rest))
	}
	s.after("kept what the %s did not take", to)
}

// deliver makes a peer receive some of what the kernel has for it.
func (s *sim) deliver(to Side) {
	peer := s.peer(to)
	switch {
	case peer == nil, peer.reset:
	case peer.vanished:
		// Its router may say so, sooner or later.
		if s.rng.IntN(16) == 0 {
			peer.reset = true
		}
	case len(peer.fromProxy) > 0:
		peer.take(1 + s.rng.IntN(len(peer.fromProxy)))
		s.model.acknowledged(to, peer)
	}
}

// dialed answers an attempt to reach an upstream.
func (s *sim) dialed() {
	if !s.dialing || s.pumps[Client].writing {
		return
	}
	s.dialing = false
	if n := s.rng.IntN(20); n < 8 {
		final := n == 0 && !s.friendly
		s.model.dialFailed(s, final)
		s.conn.DialFailed(s.now, final, "refused")
		s.after("dial failed, final: %v", final)
		return
	}
	if s.conn.Attached(s.now) {
		s.attach()
		s.model.attached(s)
	}
	s.after("attached")
}

// pass lets time pass, and ticks when the driver's timer fires.
func (s *sim) pass(d time.Duration) {
	until := s.now.Add(d)
	for s.armed != 0 && s.armed <= until {
		s.advance(max(s.now, s.armed))
		s.armed = 0
		due := s.conn.Next()
		s.tick()
		if next := s.conn.Next(); due != 0 && due <= s.now && next != 0 && next <= s.now {
			// Another thing may be due in the same moment, but not for ever.
			s.tick()
			if next := s.conn.Next(); next != 0 && next <= s.now {
				s.fault(TimerSet, "two ticks did not help: next is %v, now is %v", next, s.now)
				return
			}
		}
	}
	s.advance(until)
	s.checkTime()
}

// tick is the driver's timer.
func (s *sim) tick() {
	before := s.model.beforeTick(s)
	s.conn.Tick(s.now, s.kernel)
	s.model.afterTick(s, before)
	s.after("tick")
}

// kernel is what the kernel knows of a peer.
func (s *sim) kernel(side Side) Peer {
	peer := s.peer(side)
	if peer == nil {
		return Peer{}
	}
	k := Peer{Acked: peer.acked}
	if peer.unansweredSince != 0 {
		k.Unanswered = s.now.Sub(peer.unansweredSince)
	}
	return k
}

func (s *sim) rearm() {
	if next := s.conn.Next(); next != 0 && (s.armed == 0 || next < s.armed) {
		s.armed = next
	}
}

// after does what a driver does after every call.
func (s *sim) after(format string, args ...any) {
	s.event(format, args...)
	if phase := s.conn.Phase(); phase != s.model.last && !s.conn.HasEffects() {
		s.fault(OneDriver, "after %s: another phase, %d, without an effect", format, phase)
	}
	s.model.phase(s)
	e := s.conn.TakeEffects()
	if e.Detach {
		s.detach(e.Farewell)
	}
	if e.Dial {
		if s.dialing || s.conn.Phase() != Reconnecting {
			s.fault(OneDriver, "a dial in phase %v, another under way: %v", s.conn.Phase(), s.dialing)
		}
		s.dialing = true
		s.model.dial(s)
	}
	for side, reset := range e.Reset {
		if peer := s.peer(Side(side)); reset && peer != nil {
			s.resets[side] = true
			peer.dead = true
		}
	}
	if e.Rearm {
		s.rearm()
	}
	for _, r := range e.Sent {
		s.sent(r)
	}
	if next := s.conn.Next(); next != 0 && (s.armed == 0 || s.armed > next) {
		s.fault(TimerSet, "after %s: next is %v, the timer fires at %v", format, next, s.armed)
	}
}

// detach gives up the socket of the upstream.
func (s *sim) detach(farewell []byte) {
	up := s.peer(Upstream)
	if up == nil {
		return
	}
	before := s.conn.PossiblyLost()
	s.conn.Detached(len(up.fromProxy))
	if counted := s.conn.PossiblyLost() - before; counted > 0 && len(up.fromProxy) == 0 {
		s.fault(NoFalseAlarm, "%d messages possibly lost with %s, which has acknowledged everything", counted, up.name)
	}
	s.event("%s is given up with %d bytes not acknowledged", up.name, len(up.fromProxy))
	if s.pumps[Client].writing && len(farewell) > 0 {
		s.fault(OneDriver, "a farewell into a write")
	}
	up.farewell = len(farewell) > 0
	up.fromProxy = append(up.fromProxy, farewell...)
	if !up.reset && !up.vanished {
		up.take(len(up.fromProxy)) // What the kernel has it delivers after close, too.
	}
	up.dead = true
	s.attached = false
}
