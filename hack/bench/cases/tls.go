// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"time"

	"github.com/wsproxy/wsproxy/hack/bench/peers"
	"github.com/wsproxy/wsproxy/hack/bench/results"
	"github.com/wsproxy/wsproxy/hack/bench/wss"
)

// overTLS is what the cases are about, with wss clients. The upstream is ws.
func overTLS() []*Case {
	const conns, size, bulk = 100, 128, 65536
	roundtrip := results.Row{ID: "tls-roundtrip", Title: "wss: CPU per round trip of 128 B, 100 connections", Unit: "µs"}
	down := results.Row{ID: "tls-down", Title: "wss: CPU per GiB in frames of 64 KiB, to the client", Unit: "ms"}
	up := results.Row{ID: "tls-up", Title: "wss: CPU per GiB in frames of 64 KiB, to the upstream", Unit: "ms"}
	handshake := results.Row{ID: "tls-handshake", Title: "wss: CPU per connection opened and closed, full TLS handshake", Unit: "µs"}
	idle := results.Row{ID: "tls-idle", Title: "wss: memory per idle connection, fresh", Unit: "B"}
	memory := tlsCase(idle, func(ctx context.Context, s *session, c *wss.Clients) (results.Sample, error) {
		few := &wss.Clients{Host: c.Host, Port: c.Port, Roots: c.Roots}
		err := few.Open(ctx, "/", 16)
		few.Stop()
		if err != nil {
			return results.Sample{}, err
		}
		empty, err := s.settle(ctx, s.Settle)
		if err != nil {
			return results.Sample{}, err
		}
		if err := c.Open(ctx, "/", s.TLS); err != nil {
			return results.Sample{}, err
		}
		pss, err := s.settle(ctx, s.Settle)
		return results.Sample{Row: idle.ID, Value: float64(pss-empty) / float64(s.TLS)}, err
	})
	memory.Rounds = 3
	all := []*Case{
		tlsCase(roundtrip, func(ctx context.Context, s *session, c *wss.Clients) (results.Sample, error) {
			if err := c.Open(ctx, "/", conns); err != nil {
				return results.Sample{}, err
			}
			c.Talk(size)
			u, err := s.loaded(ctx, c.Messages)
			return u.per(roundtrip, 1, time.Microsecond), err
		}),
		tlsCase(down, func(ctx context.Context, s *session, c *wss.Clients) (results.Sample, error) {
			if err := c.Open(ctx, "/source/65536", floods); err != nil {
				return results.Sample{}, err
			}
			if err := c.Receive(); err != nil {
				return results.Sample{}, err
			}
			u, err := s.loaded(ctx, c.Bytes)
			return u.per(down, gibibyte, time.Millisecond), err
		}),
		tlsCase(up, func(ctx context.Context, s *session, c *wss.Clients) (results.Sample, error) {
			if err := c.Open(ctx, "/sink", floods); err != nil {
				return results.Sample{}, err
			}
			c.Flood(bulk)
			u, err := s.loaded(ctx, func() uint64 { return s.backend.Counters().Received })
			return u.per(up, gibibyte, time.Millisecond), err
		}),
		tlsCase(handshake, func(ctx context.Context, s *session, c *wss.Clients) (results.Sample, error) {
			c.Churn(ctx, parallel)
			u, err := s.loaded(ctx, c.Cycles)
			return u.per(handshake, 1, time.Microsecond), err
		}),
		memory,
	}
	for _, c := range all {
		// Large buffers are for bulk.
		bulky := c.Name == down.ID || c.Name == up.ID
		c.applies = func(p *peers.Peer) bool { return p.Kind == peers.TLS && (bulky || p.Name != "nginx-64k-tls") }
	}
	return all
}

// tlsCase is a case with clients over TLS, which gives one row.
func tlsCase(row results.Row, measure func(context.Context, *session, *wss.Clients) (results.Sample, error)) *Case {
	return &Case{Name: row.ID, Rows: []results.Row{row}, measure: func(ctx context.Context, s *session) ([]results.Sample, error) {
		clients := &wss.Clients{Host: s.peer.Host, Port: s.peer.Port, Roots: s.peer.Roots}
		defer clients.Stop()
		sample, err := measure(ctx, s, clients)
		if err == nil {
			err = clients.Err()
		}
		return []results.Sample{sample}, err
	}}
}
