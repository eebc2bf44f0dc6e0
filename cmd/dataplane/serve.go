// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/wsproxy/wsproxy/cmd/version"
	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/listener"
)

// listen opens all ports, or none.
func (p *process) listen(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			p.closeListeners()
		}
	}()
	var lc net.ListenConfig
	if p.probeListener, err = lc.Listen(ctx, "tcp", p.metricsAddress); err != nil {
		return fmt.Errorf("listen for metrics (--metrics-address): %w", err)
	}
	if p.controlListener, err = lc.Listen(ctx, "tcp", p.controlAddress); err != nil {
		return fmt.Errorf("listen for control (--control-address): %w", err)
	}
	p.trafficListener, err = listener.Listen(ctx, p.listenAddress, p.store, p.certificate)
	return err
}

func (p *process) closeListeners() {
	for _, l := range []net.Listener{p.probeListener, p.controlListener, p.trafficListener} {
		if l != nil {
			_ = l.Close() // Nothing was accepted.
		}
	}
}

// serve accepts clients until ctx ends, then drains, and returns when everything
// has ended. When one of the ports fails, the others drain all the same.
func (p *process) serve(ctx context.Context) error {
	var running sync.WaitGroup
	failed := make(chan error, 3)
	run := func(what string, serve func() error) {
		running.Go(func() {
			if err := serve(); err != nil && !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", what, err)
			}
		})
	}
	run("metrics", func() error { return p.probe.Serve(p.probeListener) })
	run("control", func() error { return p.control.Serve(p.controlListener) })
	run("clients", func() error { return p.relay.Serve(p.trafficListener) })
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	if p.file.Manifest != nil && !p.inPod() {
		running.Go(func() { p.store.Watch(watching, p.config, p.file, p.reread, p.logger.WithName("config")) })
	}
	p.logStart()
	p.logIgnored(p.file)

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		p.logger.Error(err, "A port failed")
	}
	p.beginDrain()
	<-p.drained
	stopWatching()
	p.stop(context.WithoutCancel(ctx))
	running.Wait()
	p.logger.Info("Stopped")
	return err
}

func (p *process) logStart() {
	snapshot := p.store.Current().Snapshot
	p.logger.Info("Started", append(numbered("configVersion", snapshot),
		"version", version.Number(), "podID", p.registry.PodID(),
		"namespace", snapshot.GetNamespace(), "proxy", snapshot.GetProxy(),
		"listen", p.trafficListener.Addr().String(), "control", p.controlListener.Addr().String(), "metrics", p.probeListener.Addr().String())...)
}

// logIgnored says what a file says in vain.
func (p *process) logIgnored(file *config.File) {
	if len(file.Ignored) > 0 {
		p.logger.Info("The configuration file says what has no effect here", "file", p.config, "ignored", file.Ignored)
	}
}

// reread says what a file that was put in force says in vain, for now or at all.
func (p *process) reread(file *config.File) {
	p.logIgnored(file)
	if !p.fromListenPort || file.Manifest == nil {
		return
	}
	if is, now := p.file.Manifest.Spec.EffectivePort(), file.Manifest.Spec.EffectivePort(); is != now {
		p.logger.Info("listen.port takes effect at the next start", "listening", is, "file", now)
	}
}

// stop ends what is left when every client is gone.
func (p *process) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	p.relay.Close() // It has answered 503 until now.
	p.control.Stop(ctx)
	if err := p.probe.Shutdown(ctx); err != nil {
		_ = p.probe.Close() // A scrape that hangs is cut off.
	}
	p.tracing.Stop() //nolint:contextcheck // The last spans have a time of their own.
}
