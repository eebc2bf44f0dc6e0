// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// collector counts the proxies by condition when it is asked.
type collector struct {
	reader  client.Reader
	proxies *prometheus.Desc
}

// NewCollector returns a collector that reads proxies from a cache.
func NewCollector(reader client.Reader) prometheus.Collector {
	return &collector{
		reader: reader,
		proxies: prometheus.NewDesc("wsproxy_proxies", "WebSocketProxies by condition.",
			[]string{"condition", "status"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) { out <- c.proxies }

// Collect implements prometheus.Collector. It sends nothing while there is no
// cache to read from.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var list wsproxyv1alpha1.WebSocketProxyList
	if err := c.reader.List(ctx, &list); err != nil {
		return
	}
	type series struct {
		condition string
		status    metav1.ConditionStatus
	}
	counts := map[series]float64{}
	for i := range list.Items {
		for _, condition := range list.Items[i].Status.Conditions {
			counts[series{condition.Type, condition.Status}]++
		}
	}
	for s, n := range counts {
		out <- prometheus.MustNewConstMetric(c.proxies, prometheus.GaugeValue, n, s.condition, string(s.status))
	}
}
