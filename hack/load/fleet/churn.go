// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// ChurnOptions say how many clients come and go, and how fast.
type ChurnOptions struct {
	// Options are those of each client. Connections is how many are there at a time;
	// Rate, Size and Ramp are not used: who comes and goes says nothing.
	Options
	// PerSecond is how many come, and how many go, in a second, over 0. Fewer do where
	// handshakes take long.
	PerSecond float64
}

// Churn is clients that come and go: each stays for a while, closes, and another one
// takes its place.
type Churn struct {
	fleet *Fleet
	life  time.Duration // On average.
	slots []*slot
	// gate is held by who comes or goes, for as long as that takes, and by Hold against
	// all of them.
	gate    sync.RWMutex
	coming  sync.WaitGroup
	refused atomic.Uint64
}

// slot is the place of a client.
type slot struct {
	mu sync.Mutex
	// now, guarded by mu, is who has the place; nil: nobody yet.
	now *connection

	came, left, lost atomic.Uint64
}

// ChurnTotals are sums since the start.
type ChurnTotals struct {
	// Came had a handshake; Left closed by themselves; Lost were ended by somebody
	// else; Refused had none.
	Came, Left, Lost, Refused uint64
}

// StartChurn lets clients come and go until ctx ends or Stop is called; Stop is to be
// called in any case. Errors: options that cannot be used.
func StartChurn(ctx context.Context, options ChurnOptions) (*Churn, error) {
	if options.PerSecond <= 0 || options.PerSecond > 10000 {
		return nil, fmt.Errorf("per second: over 0 and at most 10000, not %v", options.PerSecond)
	}
	places := options.Connections
	options.Rate = 0
	f, err := prepare(options.Options)
	if err != nil {
		return nil, err
	}
	ctx, f.stop = context.WithCancel(ctx)
	c := &Churn{fleet: f, life: time.Duration(float64(places) / options.PerSecond * float64(time.Second))}
	for number := range places {
		s := &slot{}
		c.slots = append(c.slots, s)
		c.coming.Go(func() { c.keep(ctx, s, number) })
	}
	return c, nil
}

// keep lets clients come and go in one place.
func (c *Churn) keep(ctx context.Context, s *slot, number int) {
	// They begin spread over one life, and not in step with each other.
	for after := rand.N(c.life); pause(ctx, nil, after); { // #nosec G404 -- no secret.
		after = c.life/2 + rand.N(c.life) // #nosec G404 -- no secret.
		client := c.come(ctx, s, number)
		if client == nil {
			after = min(after, time.Second)
			continue
		}
		if !pause(ctx, client.over, after) {
			return
		}
		c.goes(s, client)
		after = 0
	}
}

// pause returns false when ctx ends, and true when the time or something else is over.
func pause(ctx context.Context, over <-chan struct{}, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-over:
	case <-timer.C:
	}
	return ctx.Err() == nil
}

// come makes a handshake; nil: there was none.
func (c *Churn) come(ctx context.Context, s *slot, number int) *connection {
	c.gate.RLock()
	defer c.gate.RUnlock()
	client := &connection{number: number, fleet: c.fleet, over: make(chan struct{})}
	if client.open(ctx) == nil {
		if ctx.Err() == nil {
			c.refused.Add(1)
		}
		return nil
	}
	s.came.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = client
	return client
}

// goes closes a client, and cuts it where the peer does not answer.
func (c *Churn) goes(s *slot, client *connection) {
	c.gate.RLock()
	defer c.gate.RUnlock()
	client.close()
	timer := time.NewTimer(c.fleet.options.Settle)
	defer timer.Stop()
	select {
	case <-client.over:
	case <-timer.C:
		client.cut()
		<-client.over
	}
	if client.record().Early {
		s.lost.Add(1)
	} else {
		s.left.Add(1)
	}
}

// Hold returns when nobody is about to come or go, and keeps all from it until Resume
// is called. Who is ended by somebody else stays away.
func (c *Churn) Hold() { c.gate.Lock() }

// Resume is the end of Hold.
func (c *Churn) Resume() { c.gate.Unlock() }

// Open returns the clients that are there, by the name that the server gave their
// connections, and since when.
func (c *Churn) Open() map[string]time.Time {
	open := map[string]time.Time{}
	for _, s := range c.slots {
		s.mu.Lock()
		client := s.now
		s.mu.Unlock()
		if client == nil {
			continue
		}
		if r := client.record(); r.Closed.IsZero() {
			open[r.ID] = r.Opened
		}
	}
	return open
}

// Totals sums up what has happened so far.
func (c *Churn) Totals() (t ChurnTotals) {
	t.Refused = c.refused.Load()
	for _, s := range c.slots {
		t.Came, t.Left, t.Lost = t.Came+s.came.Load(), t.Left+s.left.Load(), t.Lost+s.lost.Load()
	}
	return t
}

// Stop lets those who are there go. It must not be called within Hold.
func (c *Churn) Stop() {
	c.fleet.stop()
	c.coming.Wait()
	var going sync.WaitGroup
	for _, s := range c.slots {
		if s.now != nil && s.now.record().Closed.IsZero() {
			going.Go(func() { c.goes(s, s.now) })
		}
	}
	going.Wait()
}
