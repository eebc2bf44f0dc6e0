// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// drain is the state of a server that is going away.
type drain struct {
	once  sync.Once
	begun chan struct{}
	// refusing says that new clients are answered 503.
	refusing atomic.Bool
}

// Draining is closed when the server begins to drain: it is not ready any more.
func (s *Server) Draining() <-chan struct{} { return s.drain.begun }

// Drain ends every connection with close code 1012: after a while in which new
// clients are still accepted, the connections are closed one after the other over
// the drain window, those first that were idle for longest. It returns when all
// are gone; where ctx ends before, the rest is closed at once, is cut off a moment
// later, and the error is ctx's. New clients are answered 503 until the server is
// closed.
//
// http.Server.Shutdown would neither close nor wait for any of them.
func (s *Server) Drain(ctx context.Context) error {
	s.drain.once.Do(func() { close(s.drain.begun) })
	s.Logger.Info(eventDrainBegun, "connections", s.Registry.Len())
	if err := sleep(ctx, s.AcceptWhileDraining); err == nil {
		s.drain.refusing.Store(true)
		s.closeSpread(ctx, s.Config.Current().DrainTimeout)
	}
	s.drain.refusing.Store(true)
	err := s.await(ctx, (*conn).drained)
	if err != nil {
		// They have been told; those who listen get a moment to leave.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastMoment)
		_ = s.await(last, (*conn).drained)
		cancel()
		s.Close()
	}
	s.journal.flush(s.Logger)
	s.Logger.Info(eventDrainOver)
	return err
}

// lastMoment is how long a drain that is cut short waits for close frames to be
// sent and answered.
const lastMoment = time.Second

// closeSpread closes what is open over the window.
func (s *Server) closeSpread(ctx context.Context, window time.Duration) {
	open := slices.SortedFunc(s.connections(), func(a, b *conn) int {
		return cmp.Compare(a.lastActive(), b.lastActive())
	})
	begin := time.Now()
	for i, c := range open {
		// Each has a slot of the window and a moment by chance within it.
		at := time.Duration((float64(i) + rand.Float64()) / float64(len(open)) * float64(window)) // #nosec G404 -- nothing to be guessed.
		if sleep(ctx, time.Until(begin.Add(at))) != nil {
			return
		}
		c.drained()
	}
}

func (c *conn) drained() {
	// One that is closing already needs nothing.
	_ = c.disconnect(core.End{
		By: core.ByProxy, Cause: core.CauseDrained, Code: wire.CloseServiceRestart, Reason: "the proxy is going away",
	}, registry.Disconnect{})
}

func (c *conn) lastActive() core.Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.core == nil {
		return driver.Now()
	}
	return c.core.LastActive()
}

// sleep waits, unless ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
