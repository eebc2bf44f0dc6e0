// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import "time"

// simModel is what the simulator knows on its own, from what it did to the
// connection and from what that asked for.
type simModel struct {
	legs    [2]simLeg
	heardAt Instant
	outage  simOutage
	last    Phase
	// closing is what was so when the closing began.
	closing struct {
		at  Instant
		end End
	}
	doneAt  Instant
	command End
	// aborted says that an abort ended the connection, cutShort that one ended what
	// was left of it.
	aborted, cutShort bool
}

// simPingFrom is the least silence after which a leg may be pinged: half of the
// timeout, less a fifth of that.
func simPingFrom(timeout time.Duration) time.Duration { return timeout/2 - timeout/10 }

// simLeg is the silence of a leg.
type simLeg struct {
	paused bool
	// quiet is for how long it was read from and nothing came, lifeless for how long
	// there was also no acknowledgement, and nothing of the other side's in the way
	// of a ping.
	quiet, lifeless time.Duration
	// quietAtPing and ackedAtPing are from when it was pinged last.
	quietAtPing time.Duration
	ackedAtPing uint64
	// ackedAtLife is what was acknowledged when there was the last sign of life. More
	// than a ping of ours has to be, because its kernel does that alone.
	ackedAtLife uint64
	silenced    bool // it was given up for its silence
	bytes       uint64
}

// simOutage is the last time that the upstream was lost.
type simOutage struct {
	dials      int
	lostAt     Instant
	failedAt   Instant // 0: no attempt has failed
	changedAt  Instant // when the pause was changed since
	attachedAt Instant
	refused    bool
}

// advance lets the clock of the world go on.
func (s *sim) advance(to Instant) {
	d := to.Sub(s.now)
	s.now = to
	for side := range Side(len(s.model.legs)) {
		leg, peer := &s.model.legs[side], s.peer(side)
		if leg.paused || peer == nil {
			continue
		}
		leg.quiet += d
		inTheWay := s.conn.Pending(side) || s.conn.legs[side].out.mid || s.pumps[side.Other()].writing
		if !inTheWay || peer.unansweredSince != 0 {
			leg.lifeless += d
		}
	}
}

func (m *simModel) heard(side Side, peer *simPeer, n int, now Instant) {
	leg := &m.legs[side]
	leg.quiet, leg.lifeless, leg.ackedAtLife = 0, 0, peer.acked
	leg.bytes += uint64(n)
	m.heardAt = now
}

func (m *simModel) acknowledged(side Side, peer *simPeer) {
	if leg := &m.legs[side]; peer.acked > leg.ackedAtLife+pingWireBytes {
		leg.lifeless, leg.ackedAtLife = 0, peer.acked
	}
}

func (m *simModel) settingsChange(before, after Settings, now Instant) {
	if before.LostTimeout != after.LostTimeout {
		for side := range m.legs {
			m.legs[side].lifeless = 0
		}
	}
	if before.ReconnectDelay != after.ReconnectDelay {
		m.outage.changedAt = now
	}
}

// simTick is what was so before a tick.
type simTick struct {
	phase                        Phase
	pinged, gone, broken, queued [2]bool
}

func (m *simModel) beforeTick(s *sim) simTick {
	t := simTick{phase: s.conn.Phase()}
	for side := range m.legs {
		t.pinged[side] = s.conn.legs[side].pinged != nil
		t.gone[side] = s.conn.legs[side].gone
		t.broken[side] = s.conn.legs[side].out.broken
		t.queued[side] = s.conn.legs[side].out.pingQueued
	}
	return t
}

// afterTick judges the pings and the losses of a tick.
func (m *simModel) afterTick(s *sim, before simTick) {
	timeout := s.settings.LostTimeout
	for side := range Side(len(m.legs)) {
		leg, core, peer := &m.legs[side], &s.conn.legs[side], s.peer(side)
		if !before.pinged[side] && core.pinged != nil {
			if timeout == 0 || leg.quiet < simPingFrom(timeout) || leg.paused {
				s.fault(OnlySilentPinged, "the %s was pinged after %v of silence, paused: %v, timeout %v", side, leg.quiet, leg.paused, timeout)
			}
			leg.quietAtPing = leg.quiet
			if peer != nil {
				leg.ackedAtPing = peer.acked
			}
		}
		if before.gone[side] || !core.gone || before.phase >= Closing || peer == nil {
			continue
		}
		leg.silenced = true
		s.silentLosses++
		dead := peer.unansweredSince != 0 && s.now.Sub(peer.unansweredSince) >= timeout
		switch {
		case timeout == 0 || leg.quiet < timeout || leg.paused:
			s.fault(FairLoss, "the %s was given up after %v of silence, paused: %v, timeout %v", side, leg.quiet, leg.paused, timeout)
		case leg.quiet-leg.quietAtPing < timeout/2 && !dead && !before.broken[side]:
			s.fault(FairLoss, "the %s was given up %v after its ping, timeout %v", side, leg.quiet-leg.quietAtPing, timeout)
		case before.queued[side] && !dead && !before.broken[side]:
			s.fault(FairLoss, "the %s was given up, but its ping was not written", side)
		case peer.acked > leg.ackedAtPing+pingWireBytes:
			s.fault(FairLoss, "the %s was given up, but it had acknowledged %d bytes since its ping", side, peer.acked-leg.ackedAtPing)
		}
	}
}

// phase follows the phases.
func (m *simModel) phase(s *sim) {
	phase, last := s.conn.Phase(), m.last
	if phase == last {
		return
	}
	m.last = phase
	switch {
	case phase < last && (last != Reconnecting || phase != Open):
		s.fault(PhasesInOrder, "phase %d after %d", phase, last)
	case phase == Reconnecting:
		m.lost(s)
	}
	if phase >= Closing && last < Closing {
		m.closing.at, m.closing.end = s.now, s.conn.End()
		m.closing.end.Cut = false // It is not known before the end.
		s.checkCause()
	}
	if phase == Done {
		m.doneAt = s.now
		s.checkAnswered()
	}
}

// lost begins an outage, or goes on with one: an upstream that leaves at once has
// healed nothing.
func (m *simModel) lost(s *sim) {
	o := &m.outage
	if flap := max(s.settings.ReconnectDelay, time.Second); o.attachedAt != 0 && s.now.Sub(o.attachedAt) < flap {
		o.failedAt, o.changedAt = s.now, 0
	} else {
		*o = simOutage{lostAt: s.now}
	}
	up := s.upstreams[len(s.upstreams)-1]
	switch {
	case !s.settings.AutoReconnect || !s.movable:
		s.fault(AbnormalOnly, "a reconnect, autoReconnect: %v, movable: %v", s.settings.AutoReconnect, s.movable)
	case up.closeRead() && !simHeals[up.said.code]:
		s.fault(AbnormalOnly, "a reconnect after close code %d", up.said.code)
	}
}

// simHeals are the close codes of an upstream that a reconnect may heal.
var simHeals = map[int]bool{1001: true, 1011: true, 1012: true, 1013: true, 1014: true}

// dial judges an attempt.
func (m *simModel) dial(s *sim) {
	o := &m.outage
	o.dials++
	delay := s.settings.ReconnectDelay
	switch most := max(delay+delay/5, o.changedAt.Sub(o.failedAt)); {
	case o.refused:
		s.fault(Attempts, "an attempt after a final refusal")
	case o.dials > s.settings.ReconnectAttempts:
		s.fault(Attempts, "attempt %d of %d", o.dials, s.settings.ReconnectAttempts)
	case o.failedAt == 0 && s.now != o.lostAt:
		s.fault(Attempts, "the first attempt came after %v", s.now.Sub(o.lostAt))
	case o.failedAt != 0 && (s.now.Sub(o.failedAt) < delay || s.now.Sub(o.failedAt) > most):
		s.fault(Attempts, "attempt %d came %v after the last one, the pause is %v", o.dials, s.now.Sub(o.failedAt), delay)
	}
}

func (m *simModel) dialFailed(s *sim, final bool) {
	m.outage.failedAt, m.outage.changedAt = s.now, 0
	m.outage.refused = final && s.conn.Phase() == Reconnecting
}

func (m *simModel) attached(s *sim) {
	m.outage.attachedAt = s.now
	leg := &m.legs[Upstream]
	*leg = simLeg{paused: leg.paused, bytes: leg.bytes}
	s.gone[Upstream] = false
}
