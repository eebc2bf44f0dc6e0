// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsproxy/wsproxy/controllers/apiservice"
	"github.com/wsproxy/wsproxy/controllers/certificates"
	"github.com/wsproxy/wsproxy/controllers/proxy"
	"github.com/wsproxy/wsproxy/controllers/push"
)

// Metrics are those of the operator that others count for.
type Metrics struct {
	Pushes   *push.Metrics
	Expiries *certificates.Expiries
}

// NewMetrics registers all metrics of the operator in that namespace. cached reads
// what is read at each scrape, live what no cache has.
func NewMetrics(r prometheus.Registerer, cached, live client.Reader, namespace, version string) Metrics {
	r.MustRegister(
		proxy.NewCollector(cached),
		apiservice.NewCollector(live, namespace, time.Now),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "wsproxy_build_info",
			Help:        "Always 1; the label is the version of the program.",
			ConstLabels: prometheus.Labels{"version": version},
		}, func() float64 { return 1 }),
	)
	return Metrics{push.NewMetrics(r), certificates.NewExpiries(r)}
}
