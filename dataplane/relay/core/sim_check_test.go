// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"strings"
	"time"
)

// check holds after every step.
func (s *sim) check() {
	for _, peer := range append(s.upstreams, s.client) {
		s.faults = append(s.faults, peer.faults...)
	}
	switch phase := s.conn.Phase(); {
	case phase == Closing && s.closingAt == 0:
		s.closingAt = s.now
	case phase == Closing && s.now.Sub(s.closingAt) > s.maxGrace:
		s.fault("still closing after %v", s.now.Sub(s.closingAt))
	}
	if phase := s.conn.Phase(); phase >= Closing && s.conn.End().Cause == "" {
		s.fault("an end without a cause")
	}
	if s.friendly && s.conn.Phase() >= Closing {
		s.fault("closing because of %+v", s.conn.End())
	}
	kept := 0
	if h := s.conn.hold; h != nil {
		kept = len(h.buffer) + len(h.partial)
	}
	if kept > s.maxBuffer+simChunk+maxHeadersKept {
		s.fault("%d bytes are kept for a buffer of %d", kept, s.maxBuffer)
	}
	for side := range s.conn.legs {
		if n := s.conn.legs[side].out.queue.size(); n > 1024 {
			s.fault("%d bytes of control frames wait", n)
		}
	}
}

// maxHeadersKept is what a header that came in parts adds to a chunk.
const maxHeadersKept = 14

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
	}
	s.checkQuiet()
	s.checkClient()
	s.checkUpstreams()
	s.checkControl()
}

// checkQuiet checks that the connection has come to rest.
func (s *sim) checkQuiet() {
	switch s.conn.Phase() {
	case Reconnecting, Closing:
		s.fault("did not come to rest: phase %d", s.conn.Phase())
	case Done:
		for _, side := range []Side{Client, Upstream} {
			peer := s.peer(side)
			if peer == nil || s.resets[side] || s.gone[side] || peer.reset {
				continue
			}
			if !peer.gotClose {
				s.fault("the %s was ended with FIN and without a close frame", side)
			}
		}
		if cut := s.conn.End().Cut; cut && !s.resets[Client] {
			s.fault("cut off without a reset")
		} else if !cut && !s.client.gotClose && !s.gone[Client] && !s.client.reset && s.conn.End().Cause != CauseClientLost {
			s.fault("the client got no close frame, and the end does not say so")
		}
	}
}

// checkClient checks that the client got messages whole, in order and once, and
// of each upstream without a gap.
func (s *sim) checkClient() {
	rest := s.client.received
	for i, up := range s.upstreams {
		n := 0
		for n < len(up.sent) && n < len(rest) && rest[n] == up.sent[n] {
			n++
		}
		rest = rest[n:]
		if last := i == len(s.upstreams)-1; last && s.conn.Phase() == Open && n < len(up.sent) {
			s.fault("the client got %d of %d messages of %s", n, len(up.sent), up.name)
		}
		if s.friendly && n < len(up.sent) {
			s.fault("the client got %d of %d messages of %s, which was lost after them", n, len(up.sent), up.name)
		}
	}
	if len(rest) > 0 {
		s.fault("the client got %d messages that it should not have got, the first is %.60q", len(rest), rest[0])
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
	for gen, up := range s.upstreams {
		replaying := gen > 0
		for at, message := range up.received {
			i, ok := index[message]
			if !ok {
				s.fault("%s got what the client never sent: %.60q", up.name, message)
				return
			}
			if replaying && i == at && i <= next && i < 2 && (!s.replayFixed || i < s.settings.ReplayMessages) {
				// One that is said again may be one that was lost.
				s.replayed++
				next = max(next, i+1)
				continue
			}
			if replaying && s.replayFixed && at < min(s.settings.ReplayMessages, next) {
				s.fault("%s was told only %d of the first messages", up.name, at)
			}
			if i < next {
				s.fault("%s got message %d, and %d was the next", up.name, i, next)
				return
			}
			if i > next && !replaying {
				s.fault("%s got message %d after %d", up.name, i, next-1)
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
		s.fault("%d messages are missing, %d possibly lost", missing, s.conn.PossiblyLost())
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
					s.fault("%s got the ping %q", up.name, ping)
				}
				continue
			}
			if by, twice := seen[ping]; twice {
				s.fault("%s got the ping %q, after %s", up.name, ping, by)
			}
			seen[ping] = up.name
		}
		for _, pong := range up.gotPongs {
			if !up.pings[pong] && !s.client.pongs[pong] {
				s.fault("%s got the pong %q", up.name, pong)
			}
		}
	}
	for _, ping := range s.client.gotPings {
		if !strings.HasPrefix(ping, "upstream") && len(ping) != 8 {
			s.fault("the client got the ping %q", ping)
		}
	}
	for _, pong := range s.client.gotPongs {
		if !s.client.pings[pong] && !strings.HasPrefix(pong, "upstream") {
			s.fault("the client got the pong %q", pong)
		}
	}
}
