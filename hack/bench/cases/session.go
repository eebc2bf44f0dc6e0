// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/wsproxy/wsproxy/hack/bench/native"
	"github.com/wsproxy/wsproxy/hack/bench/peers"
	"github.com/wsproxy/wsproxy/hack/bench/proc"
	"github.com/wsproxy/wsproxy/hack/bench/results"
)

// loopback is where everything is.
const loopback = "127.0.0.1"

// Bench measures.
type Bench struct {
	Scale
	Programs native.Programs
	// Dir is for files of measurements.
	Dir string
	// Workers is how many threads or processes a peer may use.
	Workers int
	// Isolated says that the network namespace is ours: then the sizes of socket
	// buffers may be changed where that matters.
	Isolated bool

	port int // the last one that was given out
}

// session is a measurement that is under way, with processes of its own.
type session struct {
	*Bench
	peer    *peers.Running
	backend *native.Backend
	load    *native.Load
}

// Measure runs a case with a peer. The samples have no round yet.
func (b *Bench) Measure(ctx context.Context, c *Case, p *peers.Peer) ([]results.Sample, error) {
	dir, err := os.MkdirTemp(b.Dir, c.Name+"-"+p.Name+"-")
	if err != nil {
		return nil, err
	}
	s, err := b.start(ctx, dir, p)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	samples, err := c.measure(ctx, s)
	if err = errors.Join(err, s.load.Healthy()); err != nil {
		return nil, err
	}
	for i := range samples {
		samples[i].Peer = p.Name
	}
	// A measurement that failed leaves its logs behind.
	return samples, os.RemoveAll(dir)
}

func (b *Bench) start(ctx context.Context, dir string, p *peers.Peer) (_ *session, err error) {
	s := &session{Bench: b}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	upstream := b.nextPort()
	if s.backend, err = b.Programs.StartBackend(ctx, dir, loopback, upstream); err != nil {
		return nil, err
	}
	if err = peers.AwaitListener(ctx, s.backend.Group, loopback, upstream); err != nil {
		return nil, err
	}
	if s.load, err = b.Programs.StartLoad(ctx, dir); err != nil {
		return nil, err
	}
	if err = s.load.Refresh(); err != nil {
		return nil, err
	}
	own := filepath.Join(dir, "peer")
	if err = os.Mkdir(own, 0o700); err != nil {
		return nil, err
	}
	s.peer, err = p.Start(ctx, peers.Place{
		Dir: own, Host: loopback, Port: b.nextPort(), Upstream: loopback, UpstreamPort: upstream,
		Workers: b.Workers, Connections: Most,
	})
	return s, err
}

func (s *session) stop() {
	if s.load != nil {
		s.load.Stop()
	}
	if s.peer != nil {
		s.peer.Stop()
	}
	if s.backend != nil {
		s.backend.Stop()
	}
}

// nextPort returns a port that is free, below those that the kernel gives to
// clients, and not used a moment ago.
func (b *Bench) nextPort() int {
	const first, last = 2000, 9999
	for {
		if b.port++; b.port < first || b.port > last {
			b.port = first
		}
		l, err := net.Listen("tcp4", net.JoinHostPort(loopback, strconv.Itoa(b.port)))
		if err == nil {
			l.Close()
			return b.port
		}
	}
}

// target is the peer, asked for a path.
func (s *session) target(path string) native.Target {
	return native.Target{Host: s.peer.Host, Port: s.peer.Port, Path: path, Parallel: parallel}
}

// usage is what a window cost.
type usage struct {
	elapsed time.Duration
	work    uint64
	// CPU time.
	proxy, clients, backend time.Duration
	// foreign is the share of the machine that others used.
	foreign float64
}

// clocks are what is read at both ends of a window.
type clocks struct {
	at                         time.Time
	work                       uint64
	proxy, load, backend, self time.Duration
	busy                       time.Duration
}

func (s *session) read(work func() uint64) (c clocks, err error) {
	var errs [5]error
	if s.peer.Group != nil {
		c.proxy, errs[0] = s.peer.CPU()
	}
	c.at, c.work = time.Now(), work()
	c.load, errs[1] = s.load.CPU()
	c.backend, errs[2] = s.backend.CPU()
	c.self, errs[3] = proc.CPUOf(os.Getpid())
	c.busy, errs[4] = proc.Busy()
	return c, errors.Join(errs[:]...)
}

// patience is how long something must happen in. It takes that long only where
// the machine is busy with others.
const patience = 30 * time.Second

// window counts what is done and what it costs for a while, or for as much longer
// as it takes until anything is done.
func (s *session) window(ctx context.Context, length time.Duration, work func() uint64) (usage, error) {
	// Workers may have been started after their master began to listen.
	if s.peer.Group != nil {
		if err := s.peer.Refresh(); err != nil {
			return usage{}, err
		}
	}
	before, err := s.read(work)
	if err != nil {
		return usage{}, err
	}
	var after clocks
	for {
		if err := sleep(ctx, length); err != nil {
			return usage{}, err
		}
		if after, err = s.read(work); err != nil {
			return usage{}, err
		}
		// A proxy that did not run has done nothing, even if what it had sent before
		// arrives only now.
		if after.work > before.work && (after.proxy > before.proxy || s.peer.Group == nil) {
			break
		}
		if after.at.Sub(before.at) > length+patience {
			return usage{}, fmt.Errorf("nothing was done within %v", length+patience)
		}
	}
	u := usage{
		elapsed: after.at.Sub(before.at), work: after.work - before.work,
		proxy: after.proxy - before.proxy, backend: after.backend - before.backend,
		// Clients over TLS are goroutines of ours.
		clients: after.load - before.load + after.self - before.self,
	}
	foreign := after.busy - before.busy - u.proxy - u.backend - u.clients
	u.foreign = max(0, foreign.Seconds()/(u.elapsed.Seconds()*float64(cores())))
	return u, nil
}

// loaded is a window after a warm-up.
func (s *session) loaded(ctx context.Context, work func() uint64) (usage, error) {
	if err := sleep(ctx, s.Warmup); err != nil {
		return usage{}, err
	}
	return s.window(ctx, s.Window, work)
}

// per returns a sample of the CPU that a unit of work took. A unit is so much
// work, and its CPU is given in units of scale.
func (u usage) per(row results.Row, unit float64, scale time.Duration) results.Sample {
	units := float64(u.work) / unit
	in := func(cpu time.Duration) float64 { return float64(cpu) / float64(scale) / units }
	return results.Sample{Row: row.ID, Value: in(u.proxy), Foreign: u.foreign, Detail: map[string]float64{
		"rate": units / u.elapsed.Seconds(), "clients": in(u.clients), "backend": in(u.backend),
	}}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
