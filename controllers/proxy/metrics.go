// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// collector says what the status of the proxies says, when it is asked.
type collector struct {
	reader client.Reader

	proxies, condition *prometheus.Desc
	// What follows is of each proxy, in the order of dataplane.
	dataplane [5]*prometheus.Desc
}

// NewCollector returns a collector that reads proxies from a cache.
func NewCollector(reader client.Reader) prometheus.Collector {
	ofProxy := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"namespace", "proxy"}, more...), nil)
	}
	return &collector{
		reader:  reader,
		proxies: prometheus.NewDesc("wsproxy_proxies", "WebSocketProxies by condition.", []string{"condition", "status"}, nil),
		condition: ofProxy("wsproxy_proxy_status_condition",
			"Always 1: the conditions of a WebSocketProxy as they are, with the reason.", "condition", "status", "reason"),
		dataplane: [...]*prometheus.Desc{
			ofProxy("wsproxy_proxy_replicas", "Data-plane pods that the spec of a proxy asks for."),
			ofProxy("wsproxy_proxy_pods", "Data-plane pods that run and are not going away."),
			ofProxy("wsproxy_proxy_pods_programmed", "Data-plane pods that have acknowledged the current configuration."),
			ofProxy("wsproxy_proxy_pods_draining", "Data-plane pods that are going away, whose connections end within the drain window."),
			ofProxy("wsproxy_proxy_config_version", "Version of the configuration that the pods of a proxy should have; 0 where there is none yet."),
		},
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.proxies
	out <- c.condition
	for _, d := range c.dataplane {
		out <- d
	}
}

// Collect implements prometheus.Collector. It sends nothing while there is no
// cache to read from.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var list wsproxyv1alpha1.WebSocketProxyList
	if err := c.reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return
	}
	type series struct {
		condition string
		status    metav1.ConditionStatus
	}
	counts := map[series]float64{}
	for i := range list.Items {
		p := &list.Items[i]
		for _, condition := range p.Status.Conditions {
			counts[series{condition.Type, condition.Status}]++
			out <- prometheus.MustNewConstMetric(c.condition, prometheus.GaugeValue, 1,
				p.Namespace, p.Name, condition.Type, string(condition.Status), condition.Reason)
		}
		for j, value := range dataplaneValues(p) {
			out <- prometheus.MustNewConstMetric(c.dataplane[j], prometheus.GaugeValue, value, p.Namespace, p.Name)
		}
	}
	for s, n := range counts {
		out <- prometheus.MustNewConstMetric(c.proxies, prometheus.GaugeValue, n, s.condition, string(s.status))
	}
}

// dataplaneValues are the values of the collector's dataplane.
func dataplaneValues(p *wsproxyv1alpha1.WebSocketProxy) [5]float64 {
	d := p.Status.Dataplane
	version, _ := strconv.ParseUint(d.ConfigVersion, 10, 64) // It is empty where there is none.
	return [...]float64{
		float64(p.Spec.EffectiveReplicas()), float64(d.Pods), float64(d.Programmed), float64(d.Draining), float64(version),
	}
}
