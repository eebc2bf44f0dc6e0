// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"github.com/go-logr/logr"

	"github.com/wsproxy/wsproxy/dataplane/metrics"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
)

// What log and metrics are told of a connection.

// directions are the sides in the words of the metrics.
var directions = [...]metrics.Direction{core.Client: metrics.FromClient, core.Upstream: metrics.FromUpstream}

// traffic is what came from a side.
type traffic struct{ messages, bytes uint64 }

// log puts a line about the connection into the log. Its fields are put together
// here, not kept, and it is written by the journal, not by the caller, who may be
// an event loop. It is called with the lock held, or by who opens the connection.
func (c *conn) log(message string, fields ...any) { c.logTo(c.server.Logger, message, fields) }

// debug is log for what only a developer wants to know.
func (c *conn) debug(message string, fields ...any) { c.logTo(c.server.Logger.V(1), message, fields) }

func (c *conn) logTo(logger logr.Logger, message string, fields []any) {
	if !logger.Enabled() {
		return
	}
	path := c.path // which may move meanwhile
	c.server.journal.add(func() {
		logger.WithValues("connection", c.id().Name(), "client", c.client.String(), "path", path).Info(message, fields...)
	})
}

// reportLocked tells log and metrics of a new phase.
func (c *conn) reportLocked(phase core.Phase) {
	before := c.phase
	c.phase = phase
	if before == core.Reconnecting {
		c.server.Metrics.Held(-1)
	}
	switch phase {
	case core.Reconnecting:
		c.server.Metrics.Held(1)
		c.log(eventHeld, "upstream", c.upstream.Value())
	case core.Open:
		if before == core.Reconnecting {
			c.server.Metrics.Reconnected()
			c.log(eventReplaced, "upstream", c.upstream.Value(), "reconnects", c.core.Reconnects(), "possiblyLost", c.core.PossiblyLost())
		}
	case core.Closing:
		c.passingLocked().closing = driver.Now()
		c.cancelLocked()
	case core.Done:
		c.cancelLocked()
		c.endLocked()
	}
}

// cancelLocked ends the dialing, if there is any.
func (c *conn) cancelLocked() {
	if p := c.passing; p != nil && p.cancel != nil {
		p.cancel(nil)
		p.cancel = nil
	}
}

// endLocked reports the end of the connection, once.
func (c *conn) endLocked() {
	if c.closed {
		return
	}
	c.closed = true
	c.reportTrafficLocked()
	end := c.core.End()
	lasted := driver.Now().Sub(c.core.Opened())
	c.server.Metrics.Closed(string(end.By), string(end.Cause))
	c.server.Metrics.Lasted(string(end.Cause), lasted)
	if c.server.Logger.Enabled() { // Putting so many fields together is not free.
		c.log(eventClosed,
			"by", end.By, "cause", end.Cause, "code", end.Code, "reason", end.Reason, "closeFrameCutOff", end.Cut,
			"messagesFromClient", c.core.Messages(core.Client), "messagesFromUpstream", c.core.Messages(core.Upstream),
			"bytesFromClient", c.core.Bytes(core.Client), "bytesFromUpstream", c.core.Bytes(core.Upstream),
			"reconnects", c.core.Reconnects(), "possiblyLost", c.core.PossiblyLost(), "undelivered", c.core.Undelivered(),
			"seconds", lasted.Seconds())
	}
	c.leaveLocked()
}

// reportTraffic tells the metrics what was relayed since it was last called.
func (c *conn) reportTraffic() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.core != nil && !c.closed {
		c.reportTrafficLocked()
	}
}

func (c *conn) reportTrafficLocked() {
	for side, direction := range directions {
		came := traffic{c.core.Messages(core.Side(side)), c.core.Bytes(core.Side(side))}
		before := &c.told[side]
		c.server.Metrics.AddTraffic(direction, int64(came.messages-before.messages), int64(came.bytes-before.bytes))
		*before = came
	}
}
