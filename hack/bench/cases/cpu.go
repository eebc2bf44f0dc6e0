// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/wsproxy/wsproxy/hack/bench/peers"
	"github.com/wsproxy/wsproxy/hack/bench/results"
)

func cores() int { return runtime.NumCPU() }

const gibibyte = 1 << 30

// human writes a size as people say it.
func human(size int) string {
	if size >= 1<<10 {
		return strconv.Itoa(size>>10) + " KiB"
	}
	return strconv.Itoa(size) + " B"
}

// roundTrips keep one message under way on each connection.
func roundTrips() []*Case {
	var all []*Case
	for _, load := range []struct{ conns, size int }{{100, 128}, {1000, 128}, {100, 16384}, {1000, 16384}} {
		row := results.Row{
			ID:    fmt.Sprintf("roundtrip-%d-%d", load.conns, load.size),
			Title: fmt.Sprintf("CPU per round trip of %s, %d connections", human(load.size), load.conns), Unit: "µs",
		}
		applies := talker
		if load.size > 1<<12 {
			applies = plain
		}
		all = append(all, &Case{Name: row.ID, Rows: []results.Row{row}, applies: applies, measure: func(ctx context.Context, s *session) ([]results.Sample, error) {
			if err := s.load.Open(s.target("/"), load.conns); err != nil {
				return nil, err
			}
			if err := s.load.Talk(load.size); err != nil {
				return nil, err
			}
			u, err := s.loaded(ctx, func() uint64 { return s.load.Counters().Messages })
			if err != nil {
				return nil, err
			}
			return []results.Sample{u.per(row, 1, time.Microsecond)}, s.load.Quiet()
		}})
	}
	return all
}

// flooding sends as fast as it goes, in one direction; where what clients send is kept
// until it is handed over, too.
func flooding() []*Case {
	applies := func(p *peers.Peer) bool { return plain(p) || p.Kind == peers.Kept }
	var all []*Case
	for _, size := range []int{65536, 64} {
		for _, down := range []bool{true, false} {
			direction, towards := "up", "to the upstream"
			if down {
				direction, towards = "down", "to the client"
			}
			row := results.Row{
				ID:    fmt.Sprintf("flood-%s-%d", direction, size),
				Title: fmt.Sprintf("CPU per GiB in frames of %s, %s", human(size), towards), Unit: "ms",
			}
			all = append(all, &Case{Name: row.ID, Rows: []results.Row{row}, applies: applies, measure: func(ctx context.Context, s *session) ([]results.Sample, error) {
				u, err := s.flood(ctx, size, down)
				if err != nil {
					return nil, err
				}
				return []results.Sample{u.per(row, gibibyte, time.Millisecond)}, s.load.Reset()
			}})
		}
	}
	return all
}

func (s *session) flood(ctx context.Context, size int, down bool) (usage, error) {
	if !down {
		if err := s.load.Open(s.target("/sink"), floods); err != nil {
			return usage{}, err
		}
		if err := s.load.Flood(size); err != nil {
			return usage{}, err
		}
		return s.loaded(ctx, func() uint64 { return s.backend.Counters().Received })
	}
	if err := s.load.Open(s.target("/source/"+strconv.Itoa(size)), floods); err != nil {
		return usage{}, err
	}
	if err := s.load.Go(); err != nil {
		return usage{}, err
	}
	return s.loaded(ctx, func() uint64 { return s.load.Counters().Received })
}

// handshake opens connections and closes them with a close frame.
func handshake() *Case {
	row := results.Row{ID: "handshake", Title: "CPU per connection opened and closed", Unit: "µs"}
	return &Case{Name: row.ID, Rows: []results.Row{row}, applies: talker, measure: func(ctx context.Context, s *session) ([]results.Sample, error) {
		if err := s.load.Churn(s.target("/")); err != nil {
			return nil, err
		}
		u, err := s.loaded(ctx, func() uint64 { return s.load.Counters().Cycles })
		if err != nil {
			return nil, err
		}
		return []results.Sample{u.per(row, 1, time.Microsecond)}, s.load.Quiet()
	}}
}

// latency sends at a fixed rate, whatever comes back: a message that is late
// delays none of those after it, and its time runs from when it was due.
func latency() *Case {
	rows := []results.Row{
		{ID: "latency-p50", Title: "half of the echoes at a fixed rate within", Unit: "µs"},
		{ID: "latency-p99", Title: "99 % of the echoes at a fixed rate within", Unit: "µs"},
		{ID: "latency-cpu", Title: "CPU per round trip of 128 B at a fixed rate", Unit: "µs"},
	}
	const conns, size = 100, 128
	applies := func(p *peers.Peer) bool { return talker(p) || p.Kind == peers.Direct }
	return &Case{Name: "latency", Rows: rows, applies: applies, measure: func(ctx context.Context, s *session) ([]results.Sample, error) {
		if err := s.load.Open(s.target("/"), conns); err != nil {
			return nil, err
		}
		if err := s.load.Rate(size, s.Rate); err != nil {
			return nil, err
		}
		if err := sleep(ctx, s.Warmup); err != nil {
			return nil, err
		}
		before := s.load.Counters()
		u, err := s.window(ctx, s.Window, func() uint64 { return s.load.Counters().Messages })
		if err != nil {
			return nil, err
		}
		echoes := s.load.Counters().Since(before).Latency
		samples := []results.Sample{
			{Row: rows[0].ID, Value: micros(echoes.Quantile(0.5)), Foreign: u.foreign},
			{Row: rows[1].ID, Value: micros(echoes.Quantile(0.99)), Foreign: u.foreign},
		}
		if s.peer.Group != nil {
			samples = append(samples, u.per(rows[2], 1, time.Microsecond))
		}
		return samples, s.load.Quiet()
	}}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// silent watches connections on which nothing is said but what keepalive says.
func silent() *Case {
	row := results.Row{ID: "silent", Title: "share of a core with silent connections, pinged after 30 s", Unit: "%"}
	applies := func(p *peers.Peer) bool { return plain(p) && p.Ours }
	return &Case{Name: row.ID, Rows: []results.Row{row}, Rounds: 1, Slow: true, applies: applies, measure: func(ctx context.Context, s *session) ([]results.Sample, error) {
		if err := s.load.Open(s.target("/"), s.Silent); err != nil {
			return nil, err
		}
		// Opening them is not what is watched.
		if err := sleep(ctx, s.Settle); err != nil {
			return nil, err
		}
		u, err := s.window(ctx, s.SilentWindow, func() uint64 { return s.load.Counters().Pings + s.backend.Counters().Pings })
		if err != nil {
			return nil, err
		}
		return []results.Sample{{
			Row: row.ID, Value: 100 * u.proxy.Seconds() / u.elapsed.Seconds(), Foreign: u.foreign,
			Detail: map[string]float64{"connections": float64(s.Silent), "pings": float64(u.work), "µs per ping": micros(u.proxy) / float64(u.work)},
		}}, nil
	}}
}
