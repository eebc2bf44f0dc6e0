// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// upstreamAddress is where all made-up connections lead.
const upstreamAddress = "10.244.7.31:8080"

// connection is one that was made up. It says of itself as much as a real one does,
// and is small: there are a million.
type connection struct {
	entry  registry.Entry
	pod    *pod
	number int
	since  time.Time

	mu sync.Mutex
	// closing, guarded by mu, is since when; zero while it is not.
	closing time.Time
}

var _ registry.Connection = (*connection)(nil)

// sourceIP is one of a thousand.
func sourceIP(number int) string {
	return fmt.Sprintf("203.0.%d.%d", 100+number%1000/250, 1+number%250)
}

// Describe implements registry.Connection.
func (c *connection) Describe(into *dataplanev1alpha1.Connection) {
	into.SourceIp = sourceIP(c.number)
	into.UserAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
	into.Origin, into.Path, into.Subprotocol = "https://shop.example", fmt.Sprintf("/chat/room-%d", c.number%5000), "chat.v2"
	into.ConnectedAt, into.LastActiveAt = timestamppb.New(c.since), timestamppb.New(c.since.Add(time.Second))
	into.FromClient = &dataplanev1alpha1.Traffic{Messages: int64(c.number % 977), Bytes: int64(c.number%977) * 131}
	into.FromUpstream = &dataplanev1alpha1.Traffic{Messages: int64(c.number % 7919), Bytes: int64(c.number%7919) * 257}
	into.Upstream, into.Reconnectable, into.Phase = upstreamAddress, true, dataplanev1alpha1.Phase_PHASE_OPEN
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing.IsZero() {
		into.Phase, into.ClosingSince = dataplanev1alpha1.Phase_PHASE_CLOSING, timestamppb.New(c.closing)
	}
}

// Disconnect implements registry.Connection. The client answers at once, so the
// connection is gone a moment later.
func (c *connection) Disconnect(registry.Disconnect) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing.IsZero() {
		return registry.ErrClosing
	}
	c.closing = time.Now()
	c.pod.registry.Report(c.entry.ID(), dataplanev1alpha1.Phase_PHASE_CLOSING, upstreamAddress)
	go c.pod.registry.Remove(&c.entry)
	return nil
}

// Send implements registry.Connection.
func (*connection) Send(context.Context, registry.Send) error {
	return errors.New("nobody is at the other end")
}
