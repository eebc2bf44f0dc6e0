// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
)

// point is what one question costs at one size of the fleet.
type point struct {
	connections int
	// way is how it was asked.
	way string
	// get, disconnect, first (page) and next (page) are samples.
	get, disconnect, first, next samples
}

// samples are what many of the same question cost.
type samples struct {
	// seconds is how long each took.
	seconds []float64
	// cpu is how much time of the apiserver's each took on average, in seconds.
	cpu float64
}

// sample asks n times, after a few times for nothing.
func (p *plane) sample(n int, ask func() error) (samples, error) {
	for range min(n, 20) {
		if err := ask(); err != nil {
			return samples{}, err
		}
	}
	before, err := p.server.CPU()
	if err != nil {
		return samples{}, err
	}
	var s samples
	for range n {
		began := time.Now()
		if err := ask(); err != nil {
			return samples{}, err
		}
		s.seconds = append(s.seconds, time.Since(began).Seconds())
	}
	after, err := p.server.CPU()
	s.cpu = (after - before).Seconds() / float64(n)
	return s, err
}

// pause is how long nobody looks before a first page is asked for. The apiserver looks
// which pods there are before it answers, and who comes right after a look waits for
// the next one.
const pause = 300 * time.Millisecond

// point measures at the size that the fleet has.
func (p *plane) point(ctx context.Context, s *simulated, c *caller, connections int) (at point, err error) {
	at.connections, at.way = connections, c.name
	at.get, err = p.sample(p.calls, func() error {
		pod, i := s.any()
		return c.get(ctx, pod.connections[i].entry.ID().Name())
	})
	if err != nil {
		return at, err
	}
	at.disconnect, err = p.sample(p.calls, func() error {
		pod, i := s.any()
		defer pod.replace(i)
		return c.disconnect(ctx, pod.connections[i].entry.ID().Name())
	})
	if err != nil {
		return at, err
	}
	token := ""
	at.first, err = p.sample(p.calls/20, func() error {
		time.Sleep(pause)
		first, err := c.page(ctx, "")
		if err != nil {
			return err
		}
		if token = first.Metadata.Continue; len(first.Items) != min(pageSize, connections) || token == "" {
			return fmt.Errorf("the first page of %d has %d", connections, len(first.Items))
		}
		return nil
	})
	for i := range at.first.seconds {
		at.first.seconds[i] -= pause.Seconds()
	}
	if err != nil {
		return at, err
	}
	again := token
	at.next, err = p.sample(p.calls/10, func() error {
		next, err := c.page(ctx, token)
		if err != nil {
			return err
		}
		if token = next.Metadata.Continue; token == "" {
			token = again
		} else if len(next.Items) != pageSize {
			return fmt.Errorf("a page has %d", len(next.Items))
		}
		return nil
	})
	return at, err
}

// pageSize is that of kubectl and of informers.
const pageSize = 500

// memory is what the apiserver takes at one size of the fleet.
type memory struct {
	connections int
	// pss and peak are bytes: after everything was measured, and the most that it had
	// resident meanwhile.
	pss, peak int64
}

func (p *plane) memory(connections int) (m memory, err error) {
	m.connections = connections
	if m.pss, err = p.server.PSS(); err != nil {
		return m, err
	}
	m.peak, err = p.server.Peak()
	return m, err
}
