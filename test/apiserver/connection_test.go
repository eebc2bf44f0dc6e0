// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// connection is one that stays as it is until it is disconnected, and then stays
// closing until it is removed.
type connection struct {
	sourceIP, path string
	since          time.Time
	// closing tells the registry, as a connection of the relay does.
	closing func()

	mu sync.Mutex
	// What follows is guarded by mu. then is called, if it is there, when the connection
	// is disconnected.
	then         func()
	closingSince time.Time
	disconnects  []registry.Disconnect
	sent         []registry.Send
	// refuses is what a Send is answered with.
	refuses error
	// phase is what Describe says of one that is not closing; 0: open.
	phase dataplanev1alpha1.Phase
}

// Describe implements registry.Connection.
func (c *connection) Describe(into *dataplanev1alpha1.Connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	into.SourceIp, into.Path, into.UserAgent = c.sourceIP, c.path, "test/1.0"
	into.ConnectedAt, into.LastActiveAt = timestamppb.New(c.since), timestamppb.New(c.since)
	into.FromClient = &dataplanev1alpha1.Traffic{Messages: 1, Bytes: 100}
	into.FromUpstream = &dataplanev1alpha1.Traffic{Messages: 12_345, Bytes: 5 << 20}
	into.Upstream, into.Reconnectable = "10.0.0.7:8080", true
	into.Phase = dataplanev1alpha1.Phase_PHASE_OPEN
	if c.phase != 0 {
		into.Phase = c.phase
	}
	if !c.closingSince.IsZero() {
		into.Phase, into.ClosingSince = dataplanev1alpha1.Phase_PHASE_CLOSING, timestamppb.New(c.closingSince)
	}
}

// Disconnect implements registry.Connection.
func (c *connection) Disconnect(how registry.Disconnect) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closingSince.IsZero() {
		return registry.ErrClosing
	}
	c.closingSince = time.Now()
	c.disconnects = append(c.disconnects, how)
	c.closing()
	if c.then != nil {
		go c.then()
	}
	return nil
}

// whenDisconnected calls then when the connection is disconnected.
func (c *connection) whenDisconnected(then func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.then = then
}

// Send implements registry.Connection.
func (c *connection) Send(ctx context.Context, message registry.Send) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.closingSince.IsZero():
		return registry.ErrClosing
	case c.refuses != nil:
		return c.refuses
	case !message.DryRun:
		c.sent = append(c.sent, message)
	}
	return ctx.Err()
}

// refuse lets the connection refuse messages from here on; nil lets it take them.
func (c *connection) refuse(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuses = why
}

// messages returns what was sent to the client.
func (c *connection) messages() []registry.Send {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}

// ended returns how the connection was disconnected, if it was.
func (c *connection) ended() (how registry.Disconnect, was bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.disconnects) == 0 {
		return how, false
	}
	return c.disconnects[0], true
}
