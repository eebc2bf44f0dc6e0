// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/metrics"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/upstream"
)

// conn drives one connection.
type conn struct {
	server *Server
	logger logr.Logger
	id     registry.ID

	// What the client's handshake said.
	client            netip.Addr
	userAgent, origin string
	path              string
	connectedAt       time.Time

	// cancel ends the dialing, whichever it is.
	cancel context.CancelCauseFunc
	// leave takes the connection out of the registry; mu is held.
	leave func()

	mu sync.Mutex
	// changed is signalled when a pump that waits may go on.
	changed sync.Cond
	core    *core.Conn // nil while the first upstream is dialed
	ended   *endedError
	ctx     context.Context //nolint:containedctx // it spans the life of the connection, as the connection does
	legs    [2]leg
	timer   *time.Timer
	armed   core.Instant // when the timer fires; 0: it does not
	pumps   int          // how many run
	closed  bool         // the end was reported
	phase   core.Phase   // the last one that was reported
	closing time.Time    // when it became Closing
	seen    lifecycle    // what the registry was told

	head     *handshake.Head
	agreed   handshake.Agreement // with the first upstream
	upstream string              // its address; the last one's while there is none
	release  func()              // of the endpoint's count; nil while there is none
	tried    []string            // the endpoints that failed in this outage, the last one at the end
	told     [2]traffic          // what the metrics know
}

// traffic is what came from a side.
type traffic struct{ messages, bytes uint64 }

// leg is the socket of one side.
type leg struct {
	sock net.Conn // nil while there is none
	tcp  tcp
	// early is what came with the handshake, to be received before sock is read.
	early []byte
	// reading and writing say that the lock was let go for it.
	reading, writing bool
	// poked says that the read deadline was set to wake the reader.
	poked bool
}

func (l *leg) open(sock net.Conn) {
	*l = leg{sock: sock, tcp: tcpOf(sock)}
}

// endedError says that a connection was ended while its first upstream was dialed.
type endedError struct {
	reason string
	end    core.End
}

func (e *endedError) Error() string { return e.reason }

func newConn(s *Server, id registry.ID, r *http.Request, client netip.Addr, cancel context.CancelCauseFunc) *conn {
	// As it was sent, because that may not be UTF-8 once it is decoded.
	path := said(r.URL.EscapedPath(), maxPath)
	c := &conn{
		server:      s,
		logger:      s.Logger.WithValues("connection", id.Name(), "client", client.String(), "path", path),
		id:          id,
		client:      client,
		userAgent:   said(r.UserAgent(), maxSaid),
		origin:      said(r.Header.Get("Origin"), maxSaid),
		path:        path,
		connectedAt: time.Now(),
		cancel:      cancel,
	}
	c.changed.L = &c.mu
	return c
}

// start lets the connection run; the client has got its 101.
func (c *conn) start(sock net.Conn, up *upstream.Upstream, head *handshake.Head) {
	c.server.Metrics.Opened()
	c.mu.Lock()
	defer c.mu.Unlock()
	// The request's context ends with its handler; from here on there is only
	// cancel.
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.head = head
	c.agreed = up.Agreement
	terms := core.Terms{Extensions: up.Extensions != ""}
	switch {
	case !handshake.Movable(up.Extensions):
		terms.NotReconnectable = "CompressionContext"
	case head.Size() > maxKeptHead:
		terms.NotReconnectable = "HandshakeTooLarge"
		c.head = nil
	}
	settings := c.server.settings.Load()
	c.core = core.New(now(), settings, terms, rand.Uint64)
	c.legs[core.Client].open(sock)
	c.attachLocked(up)
	c.logger.Info("connection opened", "upstream", c.upstream, "subprotocol", c.agreed.Subprotocol)
	if c.ended != nil {
		// Somebody ended it between its upstream's answer and here.
		c.core.Disconnect(now(), c.ended.end, 0)
	}
	c.pumps = len(c.legs)
	for side := range core.Side(len(c.legs)) {
		go c.pump(side)
	}
	c.afterLocked()
}

// attachLocked makes an upstream the connection's.
func (c *conn) attachLocked(up *upstream.Upstream) {
	leg := &c.legs[core.Upstream]
	leg.open(up.Conn)
	leg.early = up.Early
	c.upstream = up.Address
	c.release = up.Release
}

// apply puts other settings in force.
func (c *conn) apply(settings *core.Settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.core == nil {
		return
	}
	c.core.Apply(now(), settings)
	c.afterLocked()
}

// tick is called by the timer.
func (c *conn) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = 0
	c.core.Tick(now(), func(side core.Side) core.Peer { return c.legs[side].tcp.peer() })
	c.afterLocked()
}

// afterLocked is called after whatever was done to the core: it obeys its
// effects, wakes who has something to write or to read, sets the timer, and
// reports what happened.
func (c *conn) afterLocked() {
	effects := c.core.TakeEffects()
	if effects.Detach {
		c.detachLocked(effects.Farewell)
	}
	if effects.Dial {
		go c.redial(c.core.Attempt())
	}
	for side, reset := range effects.Reset {
		if reset {
			c.legs[side].reset()
		}
	}
	if effects.Rearm {
		c.armLocked()
	}
	if phase := c.core.Phase(); phase != c.phase {
		c.reportLocked(phase)
	}
	c.tellRegistryLocked()
	done := c.core.Phase() == core.Done
	for side := range core.Side(len(c.legs)) {
		if done || c.core.Pending(side.Other()) {
			c.legs[side].poke()
		}
	}
	c.changed.Broadcast()
}

// poke wakes the reader of a leg, for it is the one who writes to the other.
func (l *leg) poke() {
	if l.reading && !l.poked {
		l.poked = true
		_ = l.sock.SetReadDeadline(time.Unix(1, 0)) // A socket that is closed wakes its reader, too.
	}
}

// armLocked sets the timer, if it would fire too late. One that fires too early
// costs less than one that is set at every message.
func (c *conn) armLocked() {
	next := c.core.Next()
	if next == 0 || c.armed != 0 && c.armed <= next {
		return
	}
	c.armed = next
	wait := max(0, next.Sub(now()))
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.tick)
		return
	}
	c.timer.Reset(wait)
}

// reportLocked tells log and metrics of a new phase.
func (c *conn) reportLocked(phase core.Phase) {
	before := c.phase
	c.phase = phase
	switch phase {
	case core.Reconnecting:
		// Its reader waits for more than the buffer may take from now on.
		c.legs[core.Client].poke()
		c.logger.Info("upstream lost, client held", "upstream", c.upstream)
	case core.Open:
		if before == core.Reconnecting {
			c.server.Metrics.Reconnected()
			c.logger.Info("upstream replaced", "upstream", c.upstream, "reconnects", c.core.Reconnects(), "possiblyLost", c.core.PossiblyLost())
		}
	case core.Closing:
		c.closing = time.Now()
		c.cancel(nil)
	case core.Done:
		c.cancel(nil)
		c.endLocked()
	}
}

// endLocked reports the end of the connection, once.
func (c *conn) endLocked() {
	if c.closed {
		return
	}
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.reportTrafficLocked()
	end := c.core.End()
	c.server.Metrics.Closed(string(end.By), string(end.Cause))
	c.logger.Info("connection closed",
		"by", end.By, "cause", end.Cause, "code", end.Code, "reason", end.Reason, "closeFrameCutOff", end.Cut,
		"messagesFromClient", c.core.Messages(core.Client), "messagesFromUpstream", c.core.Messages(core.Upstream),
		"bytesFromClient", c.core.Bytes(core.Client), "bytesFromUpstream", c.core.Bytes(core.Upstream),
		"reconnects", c.core.Reconnects(), "possiblyLost", c.core.PossiblyLost(), "undelivered", c.core.Undelivered(),
		"seconds", now().Sub(c.core.Opened()).Seconds())
	c.leave()
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
	for side, direction := range [...]metrics.Direction{core.Client: metrics.FromClient, core.Upstream: metrics.FromUpstream} {
		came := traffic{c.core.Messages(core.Side(side)), c.core.Bytes(core.Side(side))}
		before := &c.told[side]
		c.server.Metrics.AddTraffic(direction, int64(came.messages-before.messages), int64(came.bytes-before.bytes))
		*before = came
	}
}
