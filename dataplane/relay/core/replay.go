// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

// The first messages of a connection, a login or a subscription, are said again
// to every new upstream where reconnect.replayMessages asks for it.

// messageBegin looks, when a message from the client begins, whether it is one of
// the first, and all before it were kept. Which it is stays so until it ends.
func (c *Conn) messageBegin() {
	if c.hold != nil {
		c.hold.collecting = c.collects()
	}
}

// collects says whether the next message that begins is one of those. Once it is
// not, none that follows is.
func (c *Conn) collects() bool {
	h, n := c.hold, c.legs[Client].in.messages
	return h != nil && !h.replayFailed && n < uint64(c.settings.ReplayMessages) && n == uint64(len(h.replay))
}

// collect keeps a part of a message that came from the client, if it is one of
// the first.
func (c *Conn) collect(p []byte) {
	h := c.hold
	if !c.collecting() {
		return
	}
	h.exhausted = len(p) > c.settings.Budget.left()
	if h.exhausted || int(h.replaySize)+len(h.collected)+len(p) > c.settings.BufferBytes {
		h.replayFailed, h.collecting, h.collected = true, false, nil
		if c.phase != Reconnecting && !h.replayDue {
			h.replay, h.replaySize = nil, 0
		}
		// Else the next upstream is still told those before, and this one comes to it
		// from the buffer.
	} else {
		h.collected = append(h.collected, p...)
	}
	c.account()
}

// messageEnd ends a message that came from the client.
func (c *Conn) messageEnd() {
	h := c.hold
	if h == nil {
		return
	}
	if h.collecting {
		h.replay = append(h.replay, h.collected)
		h.replaySize += int32(len(h.collected))
	}
	h.collecting, h.collected = false, nil
}

// applyReplay is called when the settings have changed: a replay that is not due
// any more does not become so again while messages pass.
func (c *Conn) applyReplay() {
	if c.hold != nil {
		c.hold.replayDue = c.replays()
	}
}

// collecting says that a message is one of the first and kept as it comes.
func (c *Conn) collecting() bool { return c.hold != nil && c.hold.collecting }

// replayCount is the number of messages to say again: of the first ones those
// that an upstream was told. The others are still in the buffer.
func (c *Conn) replayCount() int {
	return int(min(uint64(c.settings.ReplayMessages), uint64(len(c.hold.replay)), c.handed.delivered))
}

// replayProblem says why the first messages could not be said again; empty where
// they could.
func (c *Conn) replayProblem() string {
	var (
		failed, exhausted bool
		known             int
	)
	if h := c.hold; h != nil {
		failed, exhausted, known = h.replayFailed, h.exhausted, len(h.replay)
	}
	switch wanted := min(uint64(c.settings.ReplayMessages), c.legs[Client].in.messages); {
	case exhausted && c.settings.ReplayMessages > 0:
		return NotBudget
	case failed && c.settings.ReplayMessages > 0:
		return NotReplayTooLarge
	case wanted > uint64(known):
		return NotReplayUnknown
	}
	return ""
}
