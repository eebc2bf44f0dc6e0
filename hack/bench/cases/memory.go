// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/wsproxy/wsproxy/hack/bench/peers"
	"github.com/wsproxy/wsproxy/hack/bench/proc"
	"github.com/wsproxy/wsproxy/hack/bench/results"
)

// idle opens many connections and watches the memory of the peer through their
// lives.
func idle() *Case {
	rows := []results.Row{
		{ID: "idle-fresh", Title: "memory per idle connection, fresh", Unit: "B"},
		{ID: "idle-used", Title: "memory per idle connection, after three messages of 128 B on each", Unit: "B"},
		{ID: "idle-burst", Title: "memory per idle connection, after two bursts of 16 KiB on all at once", Unit: "B"},
		{ID: "idle-closed", Title: "memory after all have closed, as a multiple of the empty process", Unit: "×"},
		{ID: "idle-empty", Title: "memory of the empty process", Unit: "KiB"},
		{ID: "idle-kernel", Title: "memory of the kernel per connection, for the proxy's two sockets", Unit: "B"},
	}
	return &Case{Name: "idle", Rows: rows, Rounds: 3, applies: talker, measure: func(ctx context.Context, s *session) ([]results.Sample, error) {
		empty, err := s.empty(ctx)
		if err != nil {
			return nil, err
		}
		kernel, err := proc.KernelMemory()
		if err != nil {
			return nil, err
		}
		samples := []results.Sample{{Row: rows[4].ID, Value: float64(empty) / 1024}}
		if err := s.load.Open(s.target("/"), s.Idle); err != nil {
			return nil, err
		}
		for i, use := range []struct{ times, size int }{{0, 0}, {3, 128}, {2, 16384}} {
			for range use.times {
				if err := s.load.Say(use.size); err != nil {
					return nil, err
				}
			}
			pss, err := s.settle(ctx, s.Settle)
			if err != nil {
				return nil, err
			}
			samples = append(samples, results.Sample{Row: rows[i].ID, Value: float64(pss-empty) / float64(s.Idle)})
			if i == 0 {
				full, err := proc.KernelMemory()
				if err != nil {
					return nil, err
				}
				// Half of the four sockets of a connection are the clients' and the backend's.
				samples = append(samples, results.Sample{Row: rows[5].ID, Value: float64(full-kernel) / float64(2*s.Idle)})
			}
		}
		if err := s.load.Close(); err != nil {
			return nil, err
		}
		// Here nothing is taken for settled before its time: a garbage collector may
		// rest before it goes on.
		if err := sleep(ctx, s.Emptied); err != nil {
			return nil, err
		}
		pss, err := s.peer.PSS()
		if err != nil {
			return nil, err
		}
		return append(samples, results.Sample{Row: rows[3].ID, Value: float64(pss) / float64(empty)}), nil
	}}
}

// empty lets the peer serve a few connections, so that its code is in memory, and
// returns what it takes when they are gone.
func (s *session) empty(ctx context.Context) (int64, error) {
	const few = 16
	if err := s.load.Open(s.target("/"), few); err != nil {
		return 0, err
	}
	if err := s.load.Say(128); err != nil {
		return 0, err
	}
	if err := s.load.Close(); err != nil {
		return 0, err
	}
	return s.settle(ctx, s.Settle)
}

// settle returns the memory of the peer once it has changed by less than half a
// percent for half a second, or when it has had its time.
func (s *session) settle(ctx context.Context, atMost time.Duration) (int64, error) {
	const interval, quiet = 100 * time.Millisecond, 5
	deadline := time.Now().Add(atMost)
	last, err := s.peer.PSS()
	for same := 0; err == nil && same < quiet && time.Now().Before(deadline); {
		if err := sleep(ctx, interval); err != nil {
			return 0, err
		}
		var now int64
		now, err = s.peer.PSS()
		if change := now - last; change > last/200 || -change > last/200 {
			same = 0
		} else {
			same++
		}
		last = now
	}
	return last, err
}

// stalled has the upstream send to clients that do not read.
func stalled() *Case {
	row := results.Row{ID: "stalled", Title: "memory per connection whose reader has stalled", Unit: "B"}
	return &Case{Name: row.ID, Rows: []results.Row{row}, Rounds: 3, applies: plain, measure: func(ctx context.Context, s *session) ([]results.Sample, error) {
		restore, err := s.smallBuffers()
		if err != nil {
			return nil, err
		}
		defer restore()
		empty, err := s.empty(ctx)
		if err != nil {
			return nil, err
		}
		to := s.target("/source/65536")
		to.ReceiveBuffer = 16 << 10
		if err := s.load.Open(to, s.Stalled); err != nil {
			return nil, err
		}
		if err := s.load.Stall(); err != nil {
			return nil, err
		}
		if err := s.load.Go(); err != nil {
			return nil, err
		}
		if err := s.blocked(ctx); err != nil {
			return nil, err
		}
		pss, err := s.settle(ctx, s.Settle)
		if err != nil {
			return nil, err
		}
		return []results.Sample{{Row: row.ID, Value: float64(pss-empty) / float64(s.Stalled)}}, s.load.Reset()
	}}
}

// blocked waits until the backend can send nothing more.
func (s *session) blocked(ctx context.Context) error {
	const interval, quiet = 100 * time.Millisecond, 8
	deadline := time.Now().Add(patience)
	for last, same := uint64(0), 0; same < quiet; {
		if err := sleep(ctx, interval); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the backend can still send after %v", patience)
		}
		sent := s.backend.Counters().Sent
		if sent > last {
			same = 0
		} else {
			same++
		}
		last = sent
	}
	return nil
}

// smallBuffers bounds what the kernel takes for a socket: by default it would take
// megabytes for each before it says that a reader has stalled. Buffers that are
// smaller or larger change nothing of what the proxy itself keeps.
func (s *session) smallBuffers() (restore func(), err error) {
	if !s.Isolated {
		return func() {}, nil
	}
	values := map[string]string{
		"/proc/sys/net/ipv4/tcp_wmem": "4096 16384 131072",
		"/proc/sys/net/ipv4/tcp_rmem": "4096 131072 131072",
	}
	before := map[string][]byte{}
	restore = func() {
		for path, value := range before {
			_ = os.WriteFile(path, value, 0) // It took the other value a moment ago.
		}
	}
	for path, value := range values {
		old, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(value), 0)
		}
		if err != nil {
			restore()
			return nil, err
		}
		before[path] = old
	}
	return restore, nil
}

// kept is what a connection takes whose handshake is kept for another upstream.
func kept() *Case {
	const head = 2048
	row := results.Row{ID: "kept", Title: "memory per idle connection with autoReconnect, whose handshake had 2 KiB", Unit: "B"}
	applies := func(p *peers.Peer) bool { return p.Kind == peers.Kept }
	return &Case{Name: row.ID, Rows: []results.Row{row}, Rounds: 3, applies: applies, measure: func(ctx context.Context, s *session) ([]results.Sample, error) {
		empty, err := s.empty(ctx)
		if err != nil {
			return nil, err
		}
		to := s.target("/")
		to.Head = head
		if err := s.load.Open(to, s.Idle); err != nil {
			return nil, err
		}
		pss, err := s.settle(ctx, s.Settle)
		if err != nil {
			return nil, err
		}
		return []results.Sample{{Row: row.ID, Value: float64(pss-empty) / float64(s.Idle)}}, nil
	}}
}
