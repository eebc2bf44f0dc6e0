// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

// The first messages of a connection, a login or a subscription, are said again
// to every new upstream where reconnect.replayMessages asks for it.

// collecting says that the message that comes from the client is one of the first.
func (h *retained) collecting(c *Conn) bool {
	return !h.replayFailed && c.legs[Client].in.messages < uint64(c.settings.ReplayMessages)
}

// collect keeps a part of a message that came from the client, if it is one of
// the first.
func (h *retained) collect(c *Conn, p []byte) {
	if !h.collecting(c) {
		return
	}
	h.replayBytes += len(p)
	if h.replayBytes > c.settings.BufferBytes {
		h.replayFailed, h.collected, h.replay = true, nil, nil
		return
	}
	h.collected = append(h.collected, p...)
}

// messageEnd ends a message that came from the client; it was counted already.
func (h *retained) messageEnd(c *Conn) {
	if h.collected != nil && uint64(len(h.replay)+1) == c.legs[Client].in.messages {
		h.replay = append(h.replay, h.collected)
	}
	h.collected = nil
}

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
