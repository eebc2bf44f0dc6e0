// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
)

// lifecycle is what watchers see change. Its zero value never is that of a
// connection that has begun: one that is Open has an upstream. From one upstream
// to the next there is a time without any, so whether there is one is enough.
type lifecycle struct {
	phase    core.Phase
	attached bool
}

// tellRegistryLocked reports a change of the phase or of the upstream. It is
// called often, and costs nothing where nothing changed.
func (c *conn) tellRegistryLocked() {
	now := lifecycle{c.core.Phase(), c.release != nil}
	if now == c.seen || now.phase == core.Done { // Its end was told by leaveLocked.
		return
	}
	c.seen = now
	c.server.Registry.Report(c.id(), phases[now.phase], c.upstreamLocked())
}

// upstreamLocked is the address of the upstream, empty while there is none.
func (c *conn) upstreamLocked() string {
	if c.release == nil {
		return ""
	}
	return c.upstream.Value()
}

// lastLocked is the state in which the connection leaves the registry. One that was
// never opened has no end: what its handshake was answered is all there is to say.
func (c *conn) lastLocked() *dataplanev1alpha1.Connection {
	last := &dataplanev1alpha1.Connection{}
	c.describeLocked(last)
	if c.closed {
		last.End = c.howLocked()
		if last.Upstream == "" {
			last.End.Upstream = c.upstream.Value()
		}
	}
	return last
}

// howLocked is how the connection ended.
func (c *conn) howLocked() *dataplanev1alpha1.End {
	end := c.core.End()
	return &dataplanev1alpha1.End{
		By:          string(end.By),
		Cause:       string(end.Cause),
		Code:        int32(end.Code),
		Reason:      said(end.Reason, maxSaid),
		CutOff:      end.Cut,
		At:          timestamppb.New(driver.Wall(driver.Now())),
		Undelivered: int64(c.core.Undelivered()),
	}
}
