// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
	"unique"

	"go.opentelemetry.io/otel/trace"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
	"github.com/wsproxy/wsproxy/dataplane/upstream"
)

// conn is one connection: who it is, its core, and the driver that moves its
// bytes. It has 240 bytes, which is a size that the allocator knows.
type conn struct {
	server *Server
	entry  registry.Entry

	// What the client's handshake said. What many clients say is kept once.
	client      netip.Addr
	claims      unique.Handle[claims]
	path        string // guarded by mu: it moves when the head is kept
	connectedAt core.Instant

	mu     sync.Mutex
	core   *core.Conn    // nil while the first upstream is dialed
	driver driver.Driver // nil just as long
	// passing is nil in an ordinary life, from when it is open until it is Closing.
	passing *passing
	phase   core.Phase // the last one that was reported
	closed  bool       // the end was reported
	seen    lifecycle  // what the registry was told

	head     handshake.Kept                     // empty where it is not kept
	agreed   unique.Handle[handshake.Agreement] // with the first upstream
	upstream unique.Handle[string]              // its address; the last one's while there is none
	release  func()                             // of the endpoint's count; nil while there is none
	told     [2]traffic                         // what the metrics know
}

// claims are what many clients say of themselves in the same words.
type claims struct{ userAgent, origin string }

// passing is what a connection has while it is dialed for and when it ends.
type passing struct {
	// cancel ends the dialing; nil while nobody is dialed.
	cancel  context.CancelCauseFunc
	ended   *endedError  // nil while nobody ended it before it was opened
	closing core.Instant // when it became Closing; 0 while it has not
	tried   []string     // the endpoints that failed in this outage, the last one at the end
	span    trace.Span   // of the handshake; nil where that is not traced, or over
}

// passingLocked makes sure that there is one.
func (c *conn) passingLocked() *passing {
	if c.passing == nil {
		c.passing = &passing{}
	}
	return c.passing
}

var _ driver.Connection = (*conn)(nil)

// endedError says that a connection was ended while its first upstream was dialed.
type endedError struct {
	reason string
	end    core.End
}

func (e *endedError) Error() string { return e.reason }

// refusalReason is why its client was refused.
func (e *endedError) refusalReason() handshake.Reason {
	if e.end.Cause == core.CauseDisconnected {
		return handshake.ReasonDisconnected
	}
	return handshake.ReasonDrained // or cut off
}

func newConn(s *Server, r *http.Request, client netip.Addr, cancel context.CancelCauseFunc) *conn {
	s.Churned()
	return &conn{
		server: s,
		client: client,
		claims: unique.Make(claims{said(r.UserAgent(), maxSaid), said(r.Header.Get("Origin"), maxSaid)}),
		// As it was sent, because that may not be UTF-8 once it is decoded; and not the
		// whole request with it.
		path:        strings.Clone(said(r.URL.EscapedPath(), maxPath)),
		connectedAt: driver.Now(),
		passing:     &passing{cancel: cancel},
	}
}

// id is its identity, from when it is in the registry.
func (c *conn) id() registry.ID { return c.entry.ID() }

// Relayed implements driver.Connection.
func (c *conn) Relayed(from core.Side, took time.Duration) {
	c.server.Metrics.Relayed(directions[from], took)
}

// Lock implements driver.Connection.
func (c *conn) Lock() { c.mu.Lock() }

// Unlock implements driver.Connection.
func (c *conn) Unlock() { c.mu.Unlock() }

// Core implements driver.Connection.
func (c *conn) Core() *core.Conn { return c.core }

// leaveLocked takes the connection out of the registry, once.
func (c *conn) leaveLocked() {
	c.server.Registry.RemoveAs(c.id(), c.lastLocked())
	c.server.Registry.Release(c.client)
	c.server.Churned()
}

// abandon takes a connection that was not opened out of everything.
func (c *conn) abandon() {
	if span := c.takeSpan(true); span != nil {
		span.End() // Nobody is left to be answered.
	}
	c.mu.Lock()
	c.leaveLocked()
	c.mu.Unlock()
	c.server.live.Add(-1)
}

// start lets the connection run; the client has got its 101. drive gives it its
// driver, with the lock held.
func (c *conn) start(up *upstream.Upstream, head *handshake.Head, drive func() driver.Driver) {
	c.server.Metrics.Opened()
	c.mu.Lock()
	defer c.mu.Unlock()
	// What dialed the first upstream ends with the request's handler.
	ended := c.passing.ended
	c.passing = nil
	c.agreed = unique.Make(up.Agreement)
	terms := core.Terms{Extensions: up.Extensions != ""}
	switch {
	case !handshake.Movable(up.Extensions):
		terms.NotReconnectable = "CompressionContext"
	case head.Size() > maxKeptHead:
		terms.NotReconnectable = "HandshakeTooLarge"
	default:
		if kept := head.Keep(); c.server.Budget.Take(kept.Size()) {
			c.head, c.path = kept, kept.Share(c.path)
		} else {
			terms.NotReconnectable = core.NotBudget
		}
	}
	c.core = core.New(driver.Now(), c.server.settings.Load(), terms)
	c.driver = drive()
	c.attachedLocked(up)
	c.log(eventOpened, "upstream", up.Address, "subprotocol", up.Subprotocol)
	if ended != nil {
		// Somebody ended it between its upstream's answer and here.
		c.core.Disconnect(driver.Now(), ended.end, 0)
	}
	c.Changed()
}

// attachedLocked notes which upstream the driver was given.
func (c *conn) attachedLocked(up *upstream.Upstream) {
	c.upstream = unique.Make(up.Address)
	c.release = up.Release
}

// apply puts other settings in force.
func (c *conn) apply(settings *core.Settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.core == nil {
		return
	}
	c.core.Apply(driver.Now(), settings)
	c.Changed()
}

// Changed implements driver.Connection: it obeys the core's effects, reports what
// happened, and lets the driver look at what there is to do.
func (c *conn) Changed() {
	effects := c.core.TakeEffects()
	if effects.Detach {
		c.detachLocked(effects.Farewell)
	}
	if effects.Dial {
		c.dialLocked()
	}
	for side, reset := range effects.Reset {
		if reset {
			c.driver.Reset(core.Side(side))
		}
	}
	if effects.Rearm {
		c.driver.Rearm()
	}
	c.server.sends.report(effects.Sent)
	if phase := c.core.Phase(); phase != c.phase {
		c.reportLocked(phase)
	}
	c.tellRegistryLocked()
	c.driver.Wake()
}

// Over implements driver.Connection.
func (c *conn) Over() {
	c.mu.Lock()
	c.releaseLocked()
	c.mu.Unlock()
	c.server.Budget.Give(c.head.Size())
	c.server.live.Add(-1)
}

// releaseLocked takes the connection off the count of its endpoint.
func (c *conn) releaseLocked() {
	if c.release != nil {
		c.release()
		c.release = nil
	}
}
