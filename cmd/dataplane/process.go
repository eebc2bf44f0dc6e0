// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/tracing"
	"github.com/wsproxy/wsproxy/cmd/version"
	"github.com/wsproxy/wsproxy/dataplane/certs"
	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/control"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/heap"
	"github.com/wsproxy/wsproxy/dataplane/metrics"
	"github.com/wsproxy/wsproxy/dataplane/probe"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/upstream"
)

// stopTimeout is how long calls to the control port and scrapes may take to end
// once every client is gone.
const stopTimeout = 2 * time.Second

// process is everything that runs, wired together.
type process struct {
	options
	logger logr.Logger

	file        *config.File
	store       *config.Store
	registry    *registry.Registry
	certificate *certs.Pair
	controlDir  *certs.Dir // nil where the control port has no TLS
	tracing     *tracing.Provider
	dialer      *upstream.Dialer
	relay       *relay.Server
	control     *control.Server
	probe       *http.Server

	trafficListener net.Listener
	controlListener net.Listener
	probeListener   net.Listener

	draining atomic.Bool
	// beginDrain begins to drain, once, and returns at once; drained is closed
	// when it is over.
	beginDrain func()
	drained    chan struct{}
}

// start loads the configuration, wires everything and opens all ports, so that
// what can go wrong goes wrong before a client is accepted. A drain is cut short
// when hurry ends.
func start(ctx, hurry context.Context, o options, logger logr.Logger) (*process, error) {
	file, err := config.Start(o.config, o.stateDir, logger)
	if err != nil {
		return nil, err
	}
	o = o.complete(file)
	cert, key := o.listenPair()
	p := &process{
		options:     o,
		logger:      logger,
		file:        file,
		store:       config.NewStore(file.Config, o.stateDir),
		registry:    registry.New(podID(o)),
		certificate: certs.NewPair(cert, key, logger),
		dialer:      upstream.NewDialer(o.secretDir),
		drained:     make(chan struct{}),
	}
	if err := p.usable(file.Config); err != nil {
		return nil, err
	}
	p.store.Require(p.usable)
	if p.tracing, err = tracing.Start(ctx, o.tracing, "dataplane", version.Number(), logger); err != nil {
		return nil, err
	}
	if p.inPod() {
		p.controlDir = certs.NewDir(p.secretDir, p.logger)
	}
	p.wire(hurry)
	return p, p.listen(ctx)
}

// podID is the identity of this run. Outside of a pod there is no UID, and a
// random one keeps names from being used twice.
func podID(o options) registry.PodID {
	uid := o.podUID
	if !o.inPod() {
		uid = rand.Text()
	}
	return registry.NewPodID(uid, time.Now())
}

// wire connects everything. A drain is cut short when hurry ends; when it takes
// longer than the pod's grace period, the kubelet ends the process.
func (p *process) wire(hurry context.Context) {
	budget := core.NewBudget(p.reconnectMemory)
	m := p.metrics(budget)
	p.dialer.Tracer = p.tracing.DataplaneTracer()
	p.dialer.Attempted = func(reconnect bool, outcome handshake.Reason, took time.Duration) {
		attempt := metrics.ForHandshake
		if reconnect {
			attempt = metrics.ForReconnect
		}
		m.Attempted(attempt, string(outcome), took)
	}
	p.relay = relay.New(relay.Options{
		Config:              p.store,
		Registry:            p.registry,
		Metrics:             m,
		Dialer:              p.dialer,
		Logger:              p.logger.WithName("relay"),
		AcceptWhileDraining: p.acceptWhileDraining(),
		Budget:              budget,
		Tracer:              p.tracing.DataplaneTracer(),
		Churned:             heap.NewKeeper().Note,
	})
	p.beginDrain = sync.OnceFunc(func() {
		p.draining.Store(true)
		go func() {
			defer close(p.drained)
			if err := p.relay.Drain(hurry); err != nil {
				p.logger.Info("Drain cut short")
			}
		}()
	})
	p.store.OnChange(func(before, after *config.Config) { // The relay obeys already.
		p.logger.Info("Configuration applied", append(numbered("version", after.Snapshot),
			"changes", cmp.Or(strings.Join(config.Changes(before, after), "; "), "none"))...)
	})
	p.control = control.New(control.Options{
		Store:    p.store,
		Registry: p.registry,
		Drain:    p.beginDrain,
		Draining: p.draining.Load,
		Certs:    p.controlDir,
		Logger:   p.logger.WithName("control"),
		GRPC:     p.tracing.ServerOptions(),
	})
	p.probe = probe.NewServer(p.ready, m.Handler())
}

// numbered is the version of a snapshot for the log. One that was read from a file has
// none.
func numbered(key string, snapshot *dataplanev1alpha1.Snapshot) []any {
	if v := snapshot.GetVersion(); v != 0 {
		return []any{key, v}
	}
	return nil
}

// acceptWhileDraining is the relay's own time in a pod. Elsewhere nobody waits
// for us to be not ready, and Ctrl-C should not take 5 seconds.
func (p *process) acceptWhileDraining() time.Duration {
	if p.inPod() {
		return 0
	}
	return time.Millisecond
}

// ready says why clients should not be sent here. Configuration and listener are
// there before anybody can ask.
func (p *process) ready() error {
	if p.draining.Load() {
		return errors.New("draining")
	}
	if p.store.Current().ListenTLS {
		if _, err := p.certificate.Current(); err != nil {
			return fmt.Errorf("listen.tls: %w", err)
		}
	}
	return nil
}
