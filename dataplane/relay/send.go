// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"errors"
	"sync"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// sends knows who waits for the outcome of a message to a client. It is one for all
// connections, because hardly any has such a message.
type sends struct {
	mu sync.Mutex
	// The fields below are guarded by mu, which is never held while another lock is
	// taken.
	last    uint64
	waiting map[uint64]chan core.Outcome
}

// begin returns an id that no other message has, and where its outcome comes.
func (s *sends) begin() (id uint64, outcome <-chan core.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = map[uint64]chan core.Outcome{}
	}
	s.last++
	comes := make(chan core.Outcome, 1)
	s.waiting[s.last] = comes
	return s.last, comes
}

// end forgets who waits.
func (s *sends) end(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, id)
}

// report tells those who wait.
func (s *sends) report(reports []core.Sent) {
	if len(reports) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range reports {
		if comes, ok := s.waiting[r.ID]; ok {
			comes <- r.Outcome // There is one for each id.
		}
	}
}

// Send implements registry.Connection.
func (c *conn) Send(ctx context.Context, message registry.Send) error {
	if message.DryRun {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.maySendLocked(len(message.Payload))
	}
	id, comes := c.server.sends.begin()
	defer c.server.sends.end(id)
	if err := c.send(id, message); err != nil {
		return err
	}
	select {
	case outcome := <-comes:
		return sentError(outcome)
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case outcome := <-comes:
		return sentError(outcome)
	default:
	}
	if c.core.Withdraw(id) {
		return registry.ErrNotTaken
	}
	return registry.ErrInDoubt
}

// send puts a message in line.
func (c *conn) send(id uint64, message registry.Send) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.maySendLocked(len(message.Payload)); err != nil {
		return err
	}
	op := wire.Text
	if message.Binary {
		op = wire.Binary
	}
	if err := c.core.Send(id, op, message.Payload); err != nil {
		return refusedSend(err)
	}
	c.Changed()
	return nil
}

func (c *conn) maySendLocked(payload int) error {
	switch {
	case c.core == nil && c.passing.ended == nil:
		return registry.ErrConnecting
	case c.core == nil:
		return registry.ErrClosing
	case !handshake.Injectable(c.agreed.Value().Extensions):
		return registry.ErrExtension
	}
	return refusedSend(c.core.MaySend(payload))
}

// refusedSend says in the words of the registry why the core takes no message.
func refusedSend(err error) error {
	switch {
	case errors.Is(err, core.ErrEnding):
		return registry.ErrClosing
	case errors.Is(err, core.ErrTooBig):
		return registry.ErrTooBig
	case errors.Is(err, core.ErrFull):
		return registry.ErrTooMany
	}
	return err
}

// sentError says the same of an outcome.
func sentError(outcome core.Outcome) error {
	switch outcome {
	case core.Dropped:
		return registry.ErrClosing
	case core.InDoubt:
		return registry.ErrInDoubt
	default:
		return nil
	}
}
