// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
	"github.com/wsproxy/wsproxy/dataplane/upstream"
)

// detachLocked gives up the socket to the upstream.
func (c *conn) detachLocked(farewell []byte) {
	unacked, ok := c.driver.Detach(farewell)
	if !ok {
		return
	}
	c.core.Detached(unacked)
	c.releaseLocked()
	if c.core.Attempt() == 1 {
		c.passingLocked().tried = nil // Another outage.
	}
	c.failedLocked(c.upstream.Value())
}

// failedLocked notes an endpoint that the next attempt shall not go to. That is
// not left to the counts: an endpoint that refuses everybody has no connections,
// so it always is the one with the fewest.
func (c *conn) failedLocked(address string) {
	p := c.passingLocked()
	p.tried = append(slices.DeleteFunc(p.tried, func(t string) bool { return t == address }), address)
}

// dialing is an attempt to reach a new upstream.
type dialing struct {
	ctx     context.Context //nolint:containedctx // the attempt is what it bounds
	attempt int
	agreed  handshake.Agreement
	avoid   []string
}

// dialLocked begins an attempt. It has a goroutine, and what can cancel it, for as
// long as it takes.
func (c *conn) dialLocked() {
	p := c.passingLocked()
	d := dialing{attempt: c.core.Attempt(), agreed: c.agreed.Value(), avoid: slices.Clone(p.tried)}
	d.ctx, p.cancel = context.WithCancelCause(c.server.ctx)
	go c.redial(d, p.cancel)
}

// redial makes an attempt.
func (c *conn) redial(d dialing, cancel context.CancelCauseFunc) {
	defer cancel(nil)
	head := c.head.Head(c.id().Name()).Reconnect(d.attempt, d.agreed)
	up, err := c.server.Dialer.Dial(d.ctx, c.server.Config.Current(), head, d.avoid...)
	address := upstream.AddressOf(err)
	if err == nil && !handshake.Compatible(d.agreed, up.Agreement) {
		discard(up)
		address = up.Address
		err = errors.New("the upstream agreed on another subprotocol or other extensions than the first one")
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	c.passingLocked().cancel = nil
	if err == nil {
		err = c.attachLocked(up)
	}
	if err != nil {
		if address != "" {
			c.failedLocked(address)
		}
		final := false
		if refused, ok := errors.AsType[*upstream.Refused](err); ok {
			refused.Close()
			final = refuses(refused.Status)
		}
		if c.core.Phase() == core.Reconnecting {
			c.log(eventReconnectFailed, "attempt", d.attempt, "error", err.Error())
		}
		c.core.DialFailed(driver.Now(), final, err.Error())
	}
	c.Changed()
}

// attachLocked makes an upstream the connection's, if that still wants one.
func (c *conn) attachLocked(up *upstream.Upstream) error {
	c.driver.AwaitDetached()
	if c.core.Phase() != core.Reconnecting {
		discard(up)
		return nil
	}
	if err := c.giveLocked(up); err != nil {
		discard(up)
		return err
	}
	c.core.Attached(driver.Now())
	c.attachedLocked(up)
	return nil
}

// refuses says whether a status is the upstream's final word on a reconnect: it
// knows the client no longer, or not any more.
func refuses(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return true
	}
	return false
}

func discard(up *upstream.Upstream) {
	_ = up.Conn.Close()
	up.Release()
}
