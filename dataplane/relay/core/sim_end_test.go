// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
	"strings"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// finish lets everything that is under way arrive and looks at the whole.
func (s *sim) finish() {
	s.finishing = true
	for round := range 4000 {
		for _, peer := range []*simPeer{s.client, s.peer(Upstream)} {
			if peer == nil {
				continue
			}
			peer.answersClose = true
			if peer.vanished {
				peer.reset = true
			}
			if len(peer.rest) > 0 {
				peer.say()
			}
			if !peer.reset {
				peer.take(len(peer.fromProxy))
			}
			peer.answer()
		}
		before := s.progress()
		s.pump(Client)
		s.pump(Upstream)
		s.dialed()
		if round%10 == 0 {
			s.pass(500 * time.Millisecond)
		}
		s.check()
		if len(s.faults) > 0 {
			return
		}
		if round > 50 && s.conn.Phase() == Done && s.progress() == before && !s.pumps[Client].writing && !s.pumps[Upstream].writing {
			break
		}
	}
	s.checkQuiet()
	s.checkClient()
	s.checkUpstreams()
	s.checkControl()
	s.checkPings()
	s.checkCodes()
	s.checkMasks()
}

// progress changes whenever bytes move.
func (s *sim) progress() (n uint64) {
	for _, peer := range append(s.upstreams, s.client) {
		n += peer.acked + uint64(peer.consumed) + uint64(peer.pushed)
	}
	return n
}

// checkQuiet checks that the connection has come to rest.
func (s *sim) checkQuiet() {
	switch s.conn.Phase() {
	case Reconnecting, Closing:
		s.fault(Rests, "did not come to rest: phase %d", s.conn.Phase())
	case Open:
		if n := s.conn.Undelivered(); n > 0 {
			s.fault(TrueCounters, "%d messages are not delivered", n)
		}
	case Done:
		for _, side := range []Side{Client, Upstream} {
			s.checkEndOf(side)
		}
		if cut := s.conn.End().Cut; cut && !s.resets[Client] {
			s.fault(CleanEnd, "cut off without a reset")
		} else if !cut && !s.client.gotClose && !s.gone[Client] && !s.client.reset && s.conn.End().Cause != CauseClientLost {
			s.fault(CleanEnd, "the client got no close frame, and the end does not say so")
		}
	}
}

// checkAnswered checks, when all is over, that a side that has closed has got an
// answer, or one waits for the end of a frame or for its socket.
func (s *sim) checkAnswered() {
	for side := range Side(len(s.conn.legs)) {
		leg := &s.conn.legs[side]
		waits := leg.out.closeSent || leg.out.closeQueued || leg.out.mid || leg.out.broken
		if leg.in.ended && !leg.gone && !waits && !s.model.cutShort {
			s.fault(CleanEnd, "the %s has closed, and is not answered", side)
		}
	}
}

// checkEndOf checks how the socket of a side was ended.
func (s *sim) checkEndOf(side Side) {
	peer := s.peer(side)
	if peer == nil {
		return
	}
	if s.resets[side] {
		if peer.gotClose && peer.closeRead() && !s.model.cutShort && s.model.doneAt < s.conn.ending.by {
			s.fault(CleanEnd, "the %s was reset although it had closed", side)
		}
		return
	}
	if !peer.gotClose && !s.gone[side] && !peer.reset {
		s.fault(CleanEnd, "the %s was ended with FIN and without a close frame", side)
	}
}

// checkClient checks that the client got messages whole, in order and once, and
// of each upstream without a gap.
func (s *sim) checkClient() {
	rest := s.checkSends()
	for i, up := range s.upstreams {
		n := 0
		for n < len(up.sent) && n < len(rest) && rest[n] == up.sent[n] {
			n++
		}
		rest = rest[n:]
		if last := i == len(s.upstreams)-1; last && s.conn.Phase() == Open && n < len(up.sent) {
			s.fault(ClientGetsAll, "the client got %d of %d messages of %s", n, len(up.sent), up.name)
		}
		if s.friendly && n < len(up.sent) {
			s.fault(ClientGetsAll, "the client got %d of %d messages of %s, which was lost after them", n, len(up.sent), up.name)
		}
	}
	if len(rest) > 0 {
		s.fault(ClientGetsAll, "the client got %d messages that it should not have got, the first is %.60q", len(rest), rest[0])
	}
}

// checkUpstreams checks that the upstreams got messages whole, in order, once,
// and without a gap that possiblyLost does not cover.
func (s *sim) checkUpstreams() {
	index := map[string]int{}
	for i, message := range s.client.sent {
		index[message] = i
	}
	next, missing := 0, 0
	delivered := map[int]bool{}
	for gen, up := range s.upstreams {
		replaying := gen > 0
		for at, message := range up.received {
			i, ok := index[message]
			if !ok {
				s.fault(UpstreamsGetWhole, "%s got what the client never sent: %.60q", up.name, message)
				return
			}
			delivered[i] = true
			if replaying && i == at && i <= next && i < simMaxReplay && (!s.fixed || i < s.settings.ReplayMessages) {
				// One that is said again may be one that was lost.
				s.replayed++
				next = max(next, i+1)
				continue
			}
			if replaying && s.fixed && at < min(s.settings.ReplayMessages, next) {
				s.fault(Replayed, "%s was told only %d of the first messages", up.name, at)
			}
			if i < next {
				s.fault(UpstreamsGetWhole, "%s got message %d, and %d was the next", up.name, i, next)
				return
			}
			if i > next && !replaying {
				s.fault(UpstreamsGetWhole, "%s got message %d after %d", up.name, i, next-1)
				return
			}
			missing += i - next
			next = i + 1
			replaying = false
		}
	}
	up := s.peer(Upstream)
	if s.conn.Phase() == Open || up != nil && up.gotClose && s.client.closeSent && s.conn.End().Cause == CauseClientClose {
		missing += len(s.client.sent) - next
	}
	if uint64(missing) > s.conn.PossiblyLost() {
		s.fault(NothingLost, "%d messages are missing, %d possibly lost", missing, s.conn.PossiblyLost())
	}
	s.checkUndelivered(uint64(len(delivered)))
}

// checkUndelivered checks that what no upstream got is known.
func (s *sim) checkUndelivered(delivered uint64) {
	read, undelivered := s.conn.Messages(Client), s.conn.Undelivered()
	if undelivered > read-min(read, delivered) {
		s.fault(TrueCounters, "%d messages are said to be undelivered; of %d, %d were delivered", undelivered, read, delivered)
	}
	if up := s.peer(Upstream); up != nil && (up.reset || s.resets[Upstream]) {
		return // Nobody looked at what its kernel had not acknowledged.
	}
	if !s.fixed || !s.settings.AutoReconnect {
		return // Nor is it noted which bytes carry which message.
	}
	if read-min(read, delivered) > undelivered+s.conn.PossiblyLost() {
		s.fault(TrueCounters, "of %d messages %d were delivered; %d are said to be undelivered, %d possibly lost", read, delivered, undelivered, s.conn.PossiblyLost())
	}
}

// checkControl checks that no control frame went astray: a pong reaches who sent
// the ping, and a ping one upstream at most.
func (s *sim) checkControl() {
	seen := map[string]string{}
	for _, up := range s.upstreams {
		for _, ping := range up.gotPings {
			if !s.client.pings[ping] {
				if len(ping) != 8 {
					s.fault(ControlToItsPeer, "%s got the ping %q", up.name, ping)
				}
				continue
			}
			if by, twice := seen[ping]; twice {
				s.fault(ControlToItsPeer, "%s got the ping %q, after %s", up.name, ping, by)
			}
			seen[ping] = up.name
		}
		for _, pong := range up.gotPongs {
			if !up.pings[pong] && !s.client.pongs[pong] {
				s.astray(up, pong)
			}
		}
	}
	for _, ping := range s.client.gotPings {
		if !strings.HasPrefix(ping, "upstream") && len(ping) != 8 {
			s.fault(ControlToItsPeer, "the client got the ping %q", ping)
		}
	}
	for _, pong := range s.client.gotPongs {
		if !s.client.pings[pong] && !strings.HasPrefix(pong, "upstream") {
			s.astray(s.client, pong)
		}
	}
}

// astray is a pong that its peer did not ask for.
func (s *sim) astray(peer *simPeer, pong string) {
	if len(pong) == 8 {
		s.fault(OwnPongsSwallowed, "%s got the pong %q to a ping of ours", peer.name, pong)
		return
	}
	s.fault(ControlToItsPeer, "%s got the pong %q", peer.name, pong)
}

// checkPings checks that the latest ping of each side was answered.
func (s *sim) checkPings() {
	if s.conn.Phase() != Open {
		return
	}
	for _, peer := range []*simPeer{s.client, s.peer(Upstream)} {
		if n := len(peer.spoken); n > 0 && !slices.Contains(peer.gotPongs, peer.spoken[n-1].payload) {
			s.fault(PingsAnswered, "no answer to %q", peer.spoken[n-1].payload)
		}
	}
}

// checkMasks checks the keys of the frames of ours.
func (s *sim) checkMasks() {
	keys := map[[4]byte]bool{{}: true}
	for _, up := range s.upstreams {
		for _, frame := range up.gotFrames {
			h, _, err := wire.ParseHeader([]byte(frame))
			if err != nil || !h.Masked || s.client.frames[frame] {
				continue
			}
			if keys[h.Key] {
				s.fault(FreshMasks, "a frame of ours to %s has the key % x", up.name, h.Key)
			}
			keys[h.Key] = true
		}
	}
}
