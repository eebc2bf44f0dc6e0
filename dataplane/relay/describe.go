// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
)

// Describe implements registry.Connection.
func (c *conn) Describe(into *dataplanev1alpha1.Connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.describeLocked(into)
}

func (c *conn) describeLocked(into *dataplanev1alpha1.Connection) {
	into.SourceIp = c.client.String()
	claims := c.claims.Value()
	into.UserAgent, into.Origin = claims.userAgent, claims.origin
	into.Path = c.path
	into.ConnectedAt = timestamppb.New(driver.Wall(c.connectedAt))
	if c.passing != nil && c.passing.closing != 0 {
		into.ClosingSince = timestamppb.New(driver.Wall(c.passing.closing))
	}
	if c.core == nil {
		into.Phase = dataplanev1alpha1.Phase_PHASE_CONNECTING
		if c.passing.ended != nil {
			into.Phase = dataplanev1alpha1.Phase_PHASE_CLOSING
		}
		into.LastActiveAt = into.ConnectedAt
		return
	}
	into.Subprotocol = said(c.agreed.Value().Subprotocol, maxSaid)
	into.Phase = phases[c.core.Phase()]
	into.LastActiveAt = timestamppb.New(driver.Wall(c.core.LastActive()))
	into.FromClient = c.trafficLocked(core.Client)
	into.FromUpstream = c.trafficLocked(core.Upstream)
	into.Upstream = c.upstreamLocked()
	into.Reconnects = int32(c.core.Reconnects())
	into.Reconnectable, into.NotReconnectableReason = c.core.Reconnectable()
	into.PossiblyLost = int64(c.core.PossiblyLost())
}

var phases = [...]dataplanev1alpha1.Phase{
	core.Open:         dataplanev1alpha1.Phase_PHASE_OPEN,
	core.Reconnecting: dataplanev1alpha1.Phase_PHASE_RECONNECTING,
	core.Closing:      dataplanev1alpha1.Phase_PHASE_CLOSING,
	core.Done:         dataplanev1alpha1.Phase_PHASE_CLOSING,
}

func (c *conn) trafficLocked(from core.Side) *dataplanev1alpha1.Traffic {
	return &dataplanev1alpha1.Traffic{Messages: int64(c.core.Messages(from)), Bytes: int64(c.core.Bytes(from))}
}

// Disconnect implements registry.Connection.
func (c *conn) Disconnect(how registry.Disconnect) error {
	c.mu.Lock()
	c.log(eventDisconnect, "user", how.User, "code", how.Code, "reason", how.Reason)
	c.mu.Unlock()
	return c.disconnect(core.End{
		By: core.ByAdmin, Cause: core.CauseDisconnected, Code: int(how.Code), Reason: how.Reason,
	}, how)
}

// disconnect ends the connection with a close frame to both sides; a client that
// waits for its first upstream is refused.
func (c *conn) disconnect(end core.End, how registry.Disconnect) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.core == nil {
		if c.passing.ended != nil {
			return registry.ErrClosing
		}
		c.passing.closing = driver.Now()
		c.passing.ended = &endedError{reason: "ended before it was opened: " + end.Reason, end: end}
		c.server.Registry.Report(c.id(), dataplanev1alpha1.Phase_PHASE_CLOSING, "")
		c.passing.cancel(c.passing.ended)
		return nil
	}
	if !c.core.Disconnect(driver.Now(), end, how.Grace) {
		return registry.ErrClosing
	}
	c.Changed()
	return nil
}

// abort ends the connection without a close frame.
func (c *conn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.core == nil {
		c.passing.cancel(&endedError{reason: "the proxy is stopped"})
		return
	}
	c.core.Abort(driver.Now())
	c.Changed()
}
