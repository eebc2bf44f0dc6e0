// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/wsproxy/wsproxy/apiserver/connections"
)

// What a user may have too much of, by rate and at a time.
const (
	limitChanges       = "changes"
	limitMessages      = "messages"
	limitReadsAtOnce   = "reads_at_once"
	limitListsAtOnce   = "lists_at_once"
	limitChangesAtOnce = "changes_at_once"
	limitSendsAtOnce   = "messages_at_once"
	limitWatchesAtOnce = "watches_at_once"
	limitMemory        = "list_memory"
)

// newTurnedBack counts the requests that are answered 429 before they come to where
// k8s.io/apiserver counts requests.
func newTurnedBack(r prometheus.Registerer) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wsproxy_api_turned_back_total",
		Help: "Requests that were answered 429, by what their user had too much of: changes or messages by rate, or reads, lists without a limit, changes, messages or watches under way at once; or because others took the memory that there is for lists.",
	}, []string{"limit"})
	for _, limit := range []string{
		limitChanges, limitMessages, limitReadsAtOnce, limitListsAtOnce, limitChangesAtOnce, limitSendsAtOnce, limitWatchesAtOnce, limitMemory,
	} {
		c.WithLabelValues(limit)
	}
	r.MustRegister(c)
	return c
}

// Metrics are those of the API server that others count for.
type Metrics struct {
	connections *connections.Metrics
	turnedBack  *prometheus.CounterVec
	calls       *podCalls
}

// NewMetrics registers all metrics of the API server. count is asked at each scrape
// for the pods, and for their streams.
func NewMetrics(r prometheus.Registerer, count func() (pods, streams int), version string) Metrics {
	r.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "wsproxy_build_info",
			Help:        "Always 1; the label is the version of the program.",
			ConstLabels: prometheus.Labels{"version": version},
		}, func() float64 { return 1 }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "wsproxy_api_pods",
			Help: "Data-plane pods that are asked.",
		}, func() float64 { n, _ := count(); return float64(n) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "wsproxy_api_pod_streams",
			Help: "Streams of data-plane pods: one for each pod that is watched, however many watch it.",
		}, func() float64 { _, n := count(); return float64(n) }),
	)
	return Metrics{connections.NewMetrics(r), newTurnedBack(r), newPodCalls(r)}
}

// metricsPage serves ours beside those of the libraries, which are the same for all
// servers of a process.
func metricsPage(ours prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(prometheus.Gatherers{legacyregistry.DefaultGatherer, ours}, promhttp.HandlerOpts{})
}

// serveMetrics serves them at /metrics, to whom the kube-apiserver allows that.
func serveMetrics(generic *genericapiserver.GenericAPIServer, metrics http.Handler) {
	const path = "/metrics"
	mux := generic.Handler.NonGoRestfulMux
	mux.Unregister(path)
	mux.Handle(path, metrics)
}
