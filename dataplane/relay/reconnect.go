// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/upstream"
)

// farewellTimeout bounds the sending of the last frame to an upstream that is
// given up.
const farewellTimeout = time.Second

// detachLocked gives up the socket to the upstream.
func (c *conn) detachLocked(farewell []byte) {
	leg := &c.legs[core.Upstream]
	sock := leg.sock
	if sock == nil {
		return
	}
	c.core.Detached(leg.tcp.unacked())
	leg.sock, leg.early, leg.tcp = nil, nil, tcp{}
	leg.reading, leg.poked = false, false
	if c.release != nil {
		c.release()
		c.release = nil
	}
	if c.core.Attempt() == 1 {
		c.tried = nil // Another outage.
	}
	c.failedLocked(c.upstream)
	if farewell == nil {
		_ = below(sock).Close()
		return
	}
	go func() {
		_ = sock.SetDeadline(time.Now().Add(farewellTimeout))
		_, _ = sock.Write(farewell)
		linger(sock)
	}()
}

// failedLocked notes an endpoint that the next attempt shall not go to. That is
// not left to the counts: an endpoint that refuses everybody has no connections,
// so it always is the one with the fewest.
func (c *conn) failedLocked(address string) {
	c.tried = append(slices.DeleteFunc(c.tried, func(t string) bool { return t == address }), address)
}

// redial makes one attempt to reach a new upstream.
func (c *conn) redial(attempt int) {
	c.mu.Lock()
	ctx, head, avoid := c.ctx, c.head, slices.Clone(c.tried)
	c.mu.Unlock()
	up, err := c.server.Dialer.Dial(ctx, c.server.Config.Current(), head.Reconnect(attempt, c.agreed), avoid...)
	address := upstream.AddressOf(err)
	if err == nil && !handshake.Compatible(c.agreed, up.Agreement) {
		discard(up)
		address = up.Address
		err = errors.New("the upstream agreed on another subprotocol or other extensions than the first one")
	}

	c.mu.Lock()
	defer c.mu.Unlock()
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
			c.logger.Info("attempt to reconnect failed", "attempt", attempt, "error", err.Error())
		}
		c.core.DialFailed(now(), final, err.Error())
		c.afterLocked()
		return
	}
	for c.legs[core.Upstream].writing {
		c.changed.Wait() // Its socket is closed, so this is soon.
	}
	if !c.core.Attached(now()) {
		discard(up)
		return
	}
	c.attachLocked(up)
	c.afterLocked()
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

// reset ends a leg's socket at once.
func (l *leg) reset() {
	if l.sock == nil {
		return
	}
	sock := below(l.sock)
	if plain, ok := sock.(*net.TCPConn); ok {
		_ = plain.SetLinger(0) // Without it, the peer gets a FIN and may wait for more.
	}
	_ = sock.Close()
}

// below returns the socket below TLS. Closing that one never blocks, as sending a
// TLS alert may.
func below(sock net.Conn) net.Conn {
	if secured, ok := sock.(interface{ NetConn() net.Conn }); ok {
		return secured.NetConn()
	}
	return sock
}
