// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservice

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// askedEvery is how long what the API server said is repeated: whoever may read the
// metrics must not be able to flood it.
const askedEvery = 5 * time.Second

// collector says whether kube-apiserver reaches the aggregated API server.
type collector struct {
	live      client.Reader
	namespace string
	now       func() time.Time
	available *prometheus.Desc

	mu sync.Mutex
	// The fields below are guarded by mu.
	asked   time.Time
	service *unstructured.Unstructured // nil where there is none of ours
}

// NewCollector returns a collector that asks the API server for the APIService of
// the aggregated API server in that namespace.
func NewCollector(live client.Reader, namespace string, now func() time.Time) prometheus.Collector {
	return &collector{live: live, namespace: namespace, now: now, available: prometheus.NewDesc("wsproxy_apiservice_available",
		"1 while kube-apiserver reaches the aggregated API server (the condition Available of the APIService), else 0; absent where there is no APIService.", nil, nil)}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) { out <- c.available }

// Collect implements prometheus.Collector. It sends nothing where the API server does
// not answer, until it is asked again: that is another problem.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.asked.IsZero() || now.Sub(c.asked) >= askedEvery {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		service, err := read(ctx, c.live, c.namespace)
		if err != nil {
			service = nil
		}
		c.asked, c.service = now, service
	}
	if c.service != nil {
		out <- prometheus.MustNewConstMetric(c.available, prometheus.GaugeValue, available(c.service))
	}
}

// available is 1 where the condition Available is True.
func available(service *unstructured.Unstructured) float64 {
	conditions, _, _ := unstructured.NestedSlice(service.Object, "status", "conditions") // There may be none yet.
	for _, each := range conditions {
		if c, ok := each.(map[string]any); ok && c["type"] == "Available" && c["status"] == "True" {
			return 1
		}
	}
	return 0
}
