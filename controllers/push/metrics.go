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
			Help: "Configurations for data-plane pods, by result: applied (pushed and acknowledged), skipped (looked at and not pushed, because the pod had it already) or failed (not reached, or refused).",
		}, []string{"result"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "wsproxy_push_duration_seconds",
			Help:    "Time from the sending of a configuration to its acknowledgement by one pod.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},

			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		}),
	}
	// A series that is there from the beginning has a rate from its first event on.
	for _, result := range []string{"applied", "skipped", "failed"} {
		m.total.WithLabelValues(result)
	}
	r.MustRegister(m.total, m.duration)
	return m
}

func (m *Metrics) applied(took time.Duration) {
	m.total.WithLabelValues("applied").Inc()
	m.duration.Observe(took.Seconds())
}

func (m *Metrics) failed() { m.total.WithLabelValues("failed").Inc() }

func (m *Metrics) skipped() { m.total.WithLabelValues("skipped").Inc() }
