// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"bytes"
	"slices"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// check holds after every step.
func (s *sim) check() {
	s.checkPhase()
	s.checkMemory()
	s.checkBudget()
	s.checkSendsKept()
	s.checkCounters()
	if limit := s.settings.MaxMessageBytes; s.fixed && limit > 0 {
		for _, peer := range []*simPeer{s.client, s.upstreams[len(s.upstreams)-1]} {
			if int64(peer.largestIn) > limit {
				s.fault(Limits, "%s got a message of %d bytes, the limit is %d", peer.name, peer.largestIn, limit)
			}
		}
	}
	if rate := s.settings.MessagesPerSecond; s.fixed && rate > 0 {
		if n, most := s.conn.Messages(Client), float64(rate)*(1+s.now.Sub(s.conn.Opened()).Seconds()); float64(n) > most {
			s.fault(Limits, "%d messages of the client passed, %d a second are allowed", n, rate)
		}
	}
}

func (s *sim) checkPhase() {
	phase, end := s.conn.Phase(), s.conn.End()
	end.Cut = false
	switch {
	case s.friendly && phase >= Closing:
		s.fault(ClientHeld, "closing because of %+v", end)
	case phase >= Closing && end != s.model.closing.end:
		s.fault(TrueCause, "the end was %+v and is %+v", s.model.closing.end, end)
	case phase == Closing && s.now.Sub(s.model.closing.at) > s.maxGrace+answerGrace:
		s.fault(CloseGrace, "still closing after %v", s.now.Sub(s.model.closing.at))
	case phase == Done:
		for side := range Side(len(s.conn.legs)) {
			if s.conn.Wants(side, 1) > 0 || s.conn.Next() != 0 {
				s.fault(PhasesInOrder, "done, but wants %d bytes of the %s, next is %d", s.conn.Wants(side, 1), side, s.conn.Next())
			}
		}
	}
}

// maxHeadersKept is what a header that came in parts adds to a chunk.
const maxHeadersKept = 14

// maxQueued is how many control frames of ours can wait for the end of a frame, or
// for a socket: a ping, a pong before and a pong behind it, and a close frame.
const maxQueued = 4

func (s *sim) checkMemory() {
	h := s.conn.hold
	if h == nil {
		h = &hold{}
	}
	if kept := len(h.buffer) + len(h.partial); kept > s.maxBuffer+simChunk+maxHeadersKept {
		s.fault(BoundedMemory, "%d bytes are kept for a buffer of %d", kept, s.maxBuffer)
	}
	if n := len(h.partial); n > s.maxBuffer {
		s.fault(BoundedMemory, "%d bytes are kept of what was handed over in part, the buffer has %d", n, s.maxBuffer)
	}
	again := len(h.collected)
	for _, message := range h.replay {
		again += len(message)
	}
	if again > s.maxBuffer {
		s.fault(BoundedMemory, "%d bytes are kept to be said again, the buffer has %d", again, s.maxBuffer)
	}
	for side := range s.conn.legs {
		leg := &s.conn.legs[side]
		if n := countFrames(queued(&leg.out)); n > maxQueued {
			s.fault(BoundedMemory, "%d control frames wait", n)
		}
		ready := 0
		for _, b := range leg.out.ready() {
			ready += len(b)
		}
		if most := 2*(s.maxBuffer+simChunk) + maxQueued*wire.MaxControlFrame + s.conn.Sending(); ready > most && s.conn.Phase() != Done {
			s.fault(BoundedMemory, "%d bytes are ready to be written", ready)
		}
	}
}

// countFrames counts whole control frames.
func countFrames(b []byte) (n int) {
	for len(b) > 0 {
		h, size, err := wire.ParseHeader(b)
		if err != nil {
			return n
		}
		b = b[size+int(h.Length):]
		n++
	}
	return n
}

func (s *sim) checkCounters() {
	for side := range Side(len(s.conn.legs)) {
		if got, want := s.conn.Bytes(side), s.model.legs[side].bytes; got != want {
			s.fault(TrueCounters, "%d bytes from the %s, counted %d", want, side, got)
		}
		if s.conn.Phase() >= Closing {
			continue
		}
		if got, want := s.conn.Messages(side), s.messagesRead(side); got != want {
			s.fault(TrueCounters, "%d messages from the %s, counted %d", want, side, got)
		}
	}
	if got := s.conn.LastActive(); got != max(s.model.heardAt, s.conn.Opened()) {
		s.fault(TrueCounters, "last active at %v, bytes came at %v", got, s.model.heardAt)
	}
	if got := s.conn.Reconnects(); got != len(s.upstreams)-1 {
		s.fault(TrueCounters, "%d reconnects, counted %d", len(s.upstreams)-1, got)
	}
}

// messagesRead is the number of whole messages that the proxy has read.
func (s *sim) messagesRead(side Side) (n uint64) {
	peers := s.upstreams
	if side == Client {
		peers = []*simPeer{s.client}
	}
	for _, peer := range peers {
		at, exact := slices.BinarySearch(peer.ends, peer.consumed)
		if exact {
			at++
		}
		n += uint64(at)
	}
	return n
}

// checkTime holds when time has passed and everything that was due is done.
func (s *sim) checkTime() {
	if s.conn.Phase() >= Closing {
		return
	}
	if age := s.now.Sub(s.conn.Opened()); s.settings.MaxAge > 0 && age > s.settings.MaxAge {
		s.fault(Limits, "%v old, at most %v", age, s.settings.MaxAge)
	}
	for side := range Side(len(s.conn.legs)) {
		// After half of the timeout it is pinged; a ping that cannot be written is
		// looked at twice before its peer has answered nothing for all of it.
		if timeout, quiet := s.settings.LostTimeout, s.model.legs[side].lifeless; timeout > 0 && quiet > 3*timeout && !s.conn.legs[side].gone {
			s.fault(DeadFound, "no sign of life of the %s for %v", side, quiet)
		}
	}
}

// checkChange holds when settings have changed.
func (s *sim) checkChange() {
	if s.conn.Phase() != Reconnecting {
		return
	}
	failed := s.model.outage.dials
	if s.dialing {
		failed--
	}
	if !s.settings.AutoReconnect || failed >= s.settings.ReconnectAttempts {
		s.fault(ChangesAtOnce, "still held, autoReconnect: %v, %d attempts of %d", s.settings.AutoReconnect, failed, s.settings.ReconnectAttempts)
	}
}

// checkHeldPing holds when n bytes came from a held client: the latest ping among
// them is answered already.
func (s *sim) checkHeldPing(client *simPeer, n int) {
	out := &s.conn.legs[Client].out
	for _, ping := range slices.Backward(client.spoken) {
		if ping.end > client.consumed {
			continue
		}
		if ping.end <= client.consumed-n || out.broken {
			return
		}
		waiting := slices.Concat(slices.Concat(out.ready()...), queued(out), slices.Concat(s.pumps[Upstream].batch...))
		if !bytes.Contains(waiting, []byte(ping.payload)) {
			s.fault(HeldPingsAtOnce, "no answer to %q", ping.payload)
		}
		return
	}
}

// queued are the control frames of ours that wait.
func queued(out *outbound) []byte {
	if out.queue == nil {
		return nil
	}
	return out.queue.frames
}

// checkCause holds when the closing begins: the end says what happened.
func (s *sim) checkCause() {
	end, up := s.conn.End(), s.upstreams[len(s.upstreams)-1]
	said := func(peer *simPeer) bool { return peer.closeRead() && peer.said == simClose{end.Code, end.Reason} }
	ok, by := false, ByProxy
	switch end.Cause {
	case CauseClientClose:
		ok, by = said(s.client), ByClient
	case CauseUpstreamClose:
		ok, by = said(up), ByUpstream
	case CauseClientLost:
		ok, by = s.gone[Client] || s.model.legs[Client].silenced, ByNetwork
	case CauseUpstreamLost:
		ok, by = s.gone[Upstream] || s.model.legs[Upstream].silenced || up.closeRead() && simHeals[up.said.code], ByNetwork
		if end.Code == wire.CloseTryAgainLater && s.model.outage.dials < s.settings.ReconnectAttempts {
			s.fault(Attempts, "given up after %d attempts of %d", s.model.outage.dials, s.settings.ReconnectAttempts)
		}
	case CauseReconnectRefused:
		ok, by = s.model.outage.refused, ByUpstream
	case CauseMessageTooBig:
		limit := s.settings.MaxMessageBytes
		ok = limit > 0 && int64(max(s.client.largest, up.largest)) > limit
	case CauseRateLimited:
		rate := s.settings.MessagesPerSecond
		ok = rate > 0 && s.conn.Messages(Client) >= uint64(rate)
	case CauseMaxAge:
		ok = s.settings.MaxAge > 0 && s.now.Sub(s.conn.Opened()) >= s.settings.MaxAge
	case CauseDrained, CauseDisconnected:
		ok, by = end == s.model.command, s.model.command.By
		if s.model.aborted {
			ok, by = end.Cause == CauseDrained && end.Code == wire.CloseAbnormal, ByProxy
		}
	case CauseProtocolError:
		ok, by = s.client.violated, ByClient
		if end.By == ByUpstream {
			ok, by = up.violated, ByUpstream
		}
	}
	if !ok || end.By != by {
		s.fault(TrueCause, "the end is %+v", end)
	}
}

// simTogether is how many connections are opened in one moment to see them go apart.
// Their paces are 256, so that by chance five of them have the same one in one of
// 23,000 cases, and nine of them in one of 10^11.
const simTogether = 32

// checkSpread holds for connections that are opened in the same moment, and fall
// silent in the same moment later: no more than a few are pinged together.
func (s *sim) checkSpread() {
	settings := Settings{LostTimeout: s.settings.LostTimeout, Random: s.rng.Uint64}
	if settings.LostTimeout == 0 {
		return
	}
	fell := s.now
	for _, what := range []string{"were opened", "fell silent"} {
		together := map[Instant]int{}
		for range simTogether {
			c := New(s.now, &settings, Terms{})
			for side := range Side(len(c.legs)) {
				c.Receive(fell, side, nil)
				together[c.keepaliveDue(side)]++
			}
		}
		for due, n := range together {
			if n > 2*8 { // legs
				s.fault(PingsSpread, "%d of %d legs that %s together are pinged together, after %v", n, 2*simTogether, what, due.Sub(fell))
			}
		}
		fell = fell.Add(time.Second)
	}
}
