// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package push

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count the pushes of all proxies.
type Metrics struct {
	total    *prometheus.CounterVec
	duration prometheus.Histogram
}

// NewMetrics returns Metrics that are registered with r.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wsproxy_pushes_total",
			Help: "Configurations pushed to data-plane pods, by result: applied, skipped (the pod had it already) or failed.",
		}, []string{"result"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "wsproxy_push_duration_seconds",
			Help:    "Time from the sending of a configuration to its acknowledgement by one pod.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
	}
	r.MustRegister(m.total, m.duration)
	return m
}

func (m *Metrics) pushed(err error, took time.Duration) {
	if err != nil {
		m.total.WithLabelValues("failed").Inc()
		return
	}
	m.total.WithLabelValues("applied").Inc()
	m.duration.Observe(took.Seconds())
}

func (m *Metrics) skipped() { m.total.WithLabelValues("skipped").Inc() }
