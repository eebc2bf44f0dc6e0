// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"errors"
	"fmt"
	"strings"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// simSend is a message that was sent to the client beside those of the upstream.
type simSend struct {
	frame string
	// read is how many whole messages of upstreams had been read before.
	read uint64
	fate simFate
}

// simFate is what is known of a message that was taken.
type simFate int

const (
	simWaits simFate = iota
	simWithdrawn
	simWritten
	simDropped
	simInDoubt
)

// send sends a message to the client.
func (s *sim) send() {
	payload := fmt.Appendf(nil, "sent %d ", len(s.sends))
	if s.rng.IntN(5) == 0 {
		payload = append(payload, make([]byte, s.rng.IntN(simMaxPayload))...)
	}
	op := wire.Text
	if s.rng.IntN(2) == 0 {
		op = wire.Binary
	}
	id := uint64(len(s.sends) + 1)
	m := &simSend{frame: string(wire.AppendFrame(nil, op, payload, nil)), read: s.conn.Messages(Upstream)}
	if want, err := s.refuses(len(payload)), s.conn.Send(id, op, payload); !errors.Is(err, want) {
		s.fault(Commands, "a message of %d bytes to the client is answered with %v, want %v, %d wait", len(payload), err, want, s.waitingSends())
	} else if err != nil {
		return
	}
	clear(payload)
	s.sends = append(s.sends, m)
	s.after("send %d: %d bytes", id, len(m.frame))
}

// refuses is why a message cannot be sent now.
func (s *sim) refuses(size int) error {
	client, limit := &s.conn.legs[Client], s.settings.MaxMessageBytes
	switch {
	case s.conn.Phase() >= Closing || client.gone || client.out.broken:
		return ErrEnding
	case limit > 0 && int64(size) > limit:
		return ErrTooBig
	case s.waitingSends() >= maxSends:
		return ErrFull
	}
	return nil
}

// withdraw takes one of the messages back, if it is not too late.
func (s *sim) withdraw() {
	if len(s.sends) == 0 {
		return
	}
	i := s.rng.IntN(len(s.sends))
	m := s.sends[i]
	if !s.conn.Withdraw(uint64(i + 1)) {
		return
	}
	if m.fate != simWaits {
		s.fault(SendsAnswered, "message %d was withdrawn, but it had another fate, %d", i+1, m.fate)
	}
	m.fate = simWithdrawn
	s.after("withdraw %d", i+1)
}

// sent notes what became of a message.
func (s *sim) sent(r Sent) {
	if r.ID == 0 || r.ID > uint64(len(s.sends)) || s.sends[r.ID-1].fate != simWaits {
		s.fault(SendsAnswered, "a report about message %d, which has its fate, or never was: %d", r.ID, r.Outcome)
		return
	}
	m := s.sends[r.ID-1]
	switch r.Outcome {
	case Written:
		m.fate = simWritten
		if !strings.Contains(string(s.client.took), m.frame) {
			s.fault(SendsAnswered, "message %d is said to be written, the socket has not taken it", r.ID)
		}
	case Dropped:
		m.fate = simDropped
	case InDoubt:
		m.fate = simInDoubt
		if s.conn.Phase() != Done {
			s.fault(SendsAnswered, "message %d is in doubt, and the connection goes on", r.ID)
		}
	}
	s.event("message %d: %d", r.ID, r.Outcome)
}

// waitingSends is how many messages have no fate yet.
func (s *sim) waitingSends() (n int) {
	for _, m := range s.sends {
		if m.fate == simWaits {
			n++
		}
	}
	return n
}

// checkSendsKept holds after every step.
func (s *sim) checkSendsKept() {
	switch waiting, kept := s.waitingSends(), s.conn.sends(); {
	case waiting > 0 && (s.conn.Phase() == Done || s.conn.legs[Client].out.broken):
		s.fault(SendsAnswered, "nothing more is written to the client, and nothing is known of %d messages", waiting)
	case waiting > maxSends:
		s.fault(BoundedMemory, "%d messages wait for the client", waiting)
	case waiting == 0 && kept != nil:
		s.fault(BoundedMemory, "no message waits, and there is memory for them")
	}
}

// checkSends checks, when all is over, what the client got of the messages that
// were sent to it, and returns what it got from the upstreams.
func (s *sim) checkSends() (others []string) {
	index := map[string]int{}
	for i, m := range s.sends {
		index[m.frame] = i
	}
	next := 0
	got := map[int]bool{}
	for _, message := range s.client.received {
		i, ok := index[message]
		if !ok {
			others = append(others, message)
			continue
		}
		got[i] = true
		m := s.sends[i]
		switch {
		case i < next:
			s.fault(SendsWhole, "the client got message %d, and %d was the next", i+1, next+1)
		case uint64(len(others)) > m.read+1:
			s.fault(SendsWhole, "message %d came behind %d of the upstream's, of which %d were there before", i+1, len(others), m.read)
		case m.fate == simWithdrawn || m.fate == simDropped:
			s.fault(SendsAnswered, "the client got message %d, whose fate is %d", i+1, m.fate)
		}
		next = i + 1
	}
	for i, m := range s.sends {
		switch {
		case m.fate == simWaits:
			s.fault(SendsAnswered, "nothing is known of message %d", i+1)
		case m.fate == simWritten && !got[i] && !s.client.reset:
			s.fault(SendsWhole, "message %d was written, and the client did not get it", i+1)
		}
		s.fates[m.fate]++
	}
	return others
}
