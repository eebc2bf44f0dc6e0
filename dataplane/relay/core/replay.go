// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

// The first messages of a connection, a login or a subscription, are said again
// to every new upstream where reconnect.replayMessages asks for it.

// messageBegin looks, when a message from the client begins, whether it is one of
// the first, and all before it were kept. Which it is stays so until it ends.
func (h *retained) messageBegin(c *Conn) {
	n := c.legs[Client].in.messages
	h.collecting = !h.replayFailed && n < uint64(c.settings.ReplayMessages) && n == uint64(len(h.replay))
}

// collect keeps a part of a message that came from the client, if it is one of
// the first.
func (h *retained) collect(c *Conn, p []byte) {
	if !h.collecting {
		return
	}
	h.replayBytes += len(p)
	if h.replayBytes > c.settings.BufferBytes {
		h.replayFailed, h.collecting, h.collected, h.replay = true, false, nil, nil
		return
	}
	h.collected = append(h.collected, p...)
}

// messageEnd ends a message that came from the client.
func (h *retained) messageEnd() {
	if h.collecting {
		h.replay = append(h.replay, h.collected)
	}
	h.collecting, h.collected = false, nil
}

// applyReplay is called when the settings have changed: a replay that is not due
// any more does not become so again while messages pass.
func (c *Conn) applyReplay() { c.hold.replayDue = c.hold.replays(c) }

// replayCount is the number of messages to say again: of the first ones those
// that an upstream was told. The others are still in the buffer.
func (h *retained) replayCount(c *Conn) int {
	return int(min(uint64(c.settings.ReplayMessages), uint64(len(h.replay)), h.delivered))
}

// replayProblem says why the first messages could not be said again; empty where
// they could.
func (h *retained) replayProblem(c *Conn) string {
	switch wanted := min(uint64(c.settings.ReplayMessages), c.legs[Client].in.messages); {
	case h.replayFailed && c.settings.ReplayMessages > 0:
		return NotReplayTooLarge
	case wanted > uint64(len(h.replay)):
		return NotReplayUnknown
	}
	return ""
}
