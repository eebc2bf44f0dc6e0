// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"time"

	"github.com/go-logr/logr"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/version"
	"github.com/wsproxy/wsproxy/dataplane/certs"
	"github.com/wsproxy/wsproxy/dataplane/metrics"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// metrics returns the metrics of the process, which is for one proxy as long as it
// runs.
func (p *process) metrics(budget *core.Budget) *metrics.Metrics {
	snapshot := p.store.Current().Snapshot
	return metrics.New(metrics.Sources{
		Namespace: snapshot.GetNamespace(),
		Proxy:     snapshot.GetProxy(),
		Version:   version.Number(),

		Connections:      p.registry.Len,
		ConnectionsLimit: func() int { return p.store.Current().MaxConnections },
		Endpoints:        p.endpoints,
		ConfigVersion:    func() uint64 { return p.store.Current().Snapshot.GetVersion() },
		Draining:         p.draining.Load,
		Expiries:         p.expiries(),

		ReconnectBytes:      budget.Used,
		ReconnectBytesLimit: budget.Limit,
	})
}

// endpoints counts where new connections may go.
func (p *process) endpoints() int {
	cfg := p.store.Current()
	if cfg.UpstreamURL != nil {
		return 1
	}
	n := 0
	for _, e := range cfg.Endpoints {
		if !e.Terminating {
			n++
		}
	}
	return n
}

// expiries says until when those certificates are good that are in use now.
func (p *process) expiries() func() map[metrics.Certificate]time.Time {
	// The dialer has its own, which it reads when it needs it, and complains of.
	forUpstream := certs.NewPair(filepath.Join(p.secretDir, dataplanev1alpha1.FileUpstreamCert),
		filepath.Join(p.secretDir, dataplanev1alpha1.FileUpstreamKey), logr.Discard())
	return func() map[metrics.Certificate]time.Time {
		expiries := map[metrics.Certificate]time.Time{}
		note := func(of metrics.Certificate, pair *certs.Pair) {
			if certificate, err := pair.Current(); err == nil && certificate.Leaf != nil {
				expiries[of] = certificate.Leaf.NotAfter
			}
		}
		cfg := p.store.Current()
		if cfg.ListenTLS {
			note(metrics.CertificateListen, p.certificate)
		}
		if cfg.UpstreamTLS != nil && cfg.UpstreamTLS.ClientCertificate {
			note(metrics.CertificateUpstream, forUpstream)
		}
		if p.controlDir != nil {
			note(metrics.CertificateControl, p.controlDir.Control)
		}
		return expiries
	}
}
