// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are what is read at every scrape.
type Sources struct {
	// Namespace and Proxy are whose process it is. They are labels of everything that
	// is ours; what is empty is none.
	Namespace, Proxy string
	// Connections is the number of live connections, ConnectionsLimit what is allowed;
	// 0 is no limit.
	Connections, ConnectionsLimit func() int
	// Endpoints is the number of addresses that new connections may go to.
	Endpoints func() int
	// ConfigVersion is the version of the configuration in force.
	ConfigVersion func() uint64
	// Draining says whether the process is draining.
	Draining func() bool
	// ReconnectBytes is what is kept for reconnects, of ReconnectBytesLimit.
	ReconnectBytes, ReconnectBytesLimit func() int64
	// Expiries says until when the certificates in use are good, by what they are for.
	Expiries func() map[Certificate]time.Time
	// Version of the program.
	Version string
}

// Certificate is what a certificate is for.
type Certificate string

// The certificates of a data-plane process.
const (
	// CertificateListen is shown to clients: that of spec.listen.tls.
	CertificateListen Certificate = "listen"
	// CertificateUpstream is shown to the upstream: that of
	// spec.upstream.tls.clientCertSecretName.
	CertificateUpstream Certificate = "upstream"
	// CertificateControl is shown to the operator and the API server, and issued by the
	// operator.
	CertificateControl Certificate = "control"
)

// labels are those of everything that is ours.
func (s Sources) labels() prometheus.Labels {
	labels := prometheus.Labels{}
	for name, value := range map[string]string{"namespace": s.Namespace, "proxy": s.Proxy} {
		if value != "" {
			labels[name] = value
		}
	}
	return labels
}

func (s Sources) collectors() []prometheus.Collector {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	return []prometheus.Collector{
		gauge("wsproxy_connections", "Live connections, from before the upstream is connected to.",
			func() float64 { return float64(s.Connections()) }),
		gauge("wsproxy_connections_limit", "How many connections this process accepts (spec.limits.maxConnections); 0: as many as come.",
			func() float64 { return float64(s.ConnectionsLimit()) }),
		gauge("wsproxy_upstream_endpoints", "Addresses that new connections may go to: those of the Service that are not going away, or 1 for a URL.",
			func() float64 { return float64(s.Endpoints()) }),
		gauge("wsproxy_config_version", "Version of the configuration in force; 0 where none was pushed.",
			func() float64 { return float64(s.ConfigVersion()) }),
		gauge("wsproxy_draining", "1 while connections are drained, else 0.", func() float64 {
			if s.Draining() {
				return 1
			}
			return 0
		}),
		gauge("wsproxy_reconnect_memory_bytes", "Handshakes and messages of clients that are kept for reconnects.",
			func() float64 { return float64(s.ReconnectBytes()) }),
		gauge("wsproxy_reconnect_memory_limit_bytes", "What may be kept; beyond it held clients are not read from, and new connections are not reconnectable.",
			func() float64 { return float64(s.ReconnectBytesLimit()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "wsproxy_build_info",
			Help:        "Always 1; the label is the version of the program.",
			ConstLabels: prometheus.Labels{"version": s.Version},
		}, func() float64 { return 1 }),
		expiries(s.Expiries),
	}
}

// expiries collects until when certificates are good.
type expiries func() map[Certificate]time.Time

var expiryDesc = prometheus.NewDesc("wsproxy_certificate_expiry_timestamp_seconds",
	"When a certificate that is in use expires, in seconds since 1970, by what it is for.", []string{"certificate"}, nil)

// Describe implements prometheus.Collector.
func (expiries) Describe(out chan<- *prometheus.Desc) { out <- expiryDesc }

// Collect implements prometheus.Collector.
func (e expiries) Collect(out chan<- prometheus.Metric) {
	for certificate, at := range e() {
		out <- prometheus.MustNewConstMetric(expiryDesc, prometheus.GaugeValue, float64(at.Unix()), string(certificate))
	}
}
