// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver"
	"github.com/wsproxy/wsproxy/controllers"
	"github.com/wsproxy/wsproxy/controllers/apiservice"
	"github.com/wsproxy/wsproxy/controllers/certificates"
	"github.com/wsproxy/wsproxy/dataplane/metrics"
)

// Metric is one that a program publishes.
type Metric struct {
	Name, Help string
	// Type is counter, gauge or histogram.
	Type string
	// Labels are sorted.
	Labels []string
}

// Program is one of the three.
type Program struct {
	Name    string
	Metrics []Metric
}

// Programs returns what each program publishes of its own. The error names a metric
// that was registered and of which nothing was to be seen.
func Programs() ([]Program, error) {
	var programs []Program
	for _, p := range []struct {
		name    string
		metrics prometheus.Collector
	}{{"dataplane", dataplane()}, {"operator", operator()}, {"apiserver", apiServer()}} {
		published, err := published(p.metrics)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		programs = append(programs, Program{p.name, published})
	}
	return programs, nil
}

// dataplane returns the metrics of a data plane to which everything has happened once.
func dataplane() prometheus.Collector {
	none, now := func() int { return 0 }, time.Now()
	bytes := func() int64 { return 0 }
	m := metrics.New(metrics.Sources{
		Namespace: "namespace", Proxy: "proxy", Version: "version",
		Connections: none, ConnectionsLimit: none, Endpoints: none, ConfigVersion: func() uint64 { return 0 }, Draining: func() bool { return false },
		ReconnectBytes: bytes, ReconnectBytesLimit: bytes,
		Expiries: func() map[metrics.Certificate]time.Time {
			return map[metrics.Certificate]time.Time{metrics.CertificateListen: now}
		},
	})
	m.Closed("", "")
	m.Handshake(101, "")
	m.Attempted(metrics.ForHandshake, "", 0)
	m.Lasted("", 0)
	return m
}

func operator() prometheus.Collector {
	r := prometheus.NewRegistry()
	m := controllers.NewMetrics(r, cluster{}, cluster{}, "namespace", "version")
	m.Expiries.Note(certificates.OfAuthority, time.Now())
	return r
}

func apiServer() prometheus.Collector {
	r := prometheus.NewRegistry()
	apiserver.NewMetrics(r, func() (pods, streams int) { return 0, 0 }, "version")
	return r
}

// cluster has one proxy, and the APIService.
type cluster struct{ client.Reader }

// List implements client.Reader.
func (cluster) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	proxies, ok := list.(*wsproxyv1alpha1.WebSocketProxyList)
	if !ok {
		return fmt.Errorf("there are no %T", list)
	}
	var p wsproxyv1alpha1.WebSocketProxy
	p.Status.Conditions = []metav1.Condition{{Type: wsproxyv1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
	proxies.Items = []wsproxyv1alpha1.WebSocketProxy{p}
	return nil
}

// Get implements client.Reader.
func (cluster) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	service, ok := object.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("there is no %T", object)
	}
	return unstructured.SetNestedStringMap(service.Object,
		map[string]string{"namespace": "namespace", "name": apiservice.Service}, "spec", "service")
}

// published returns those metrics of a collector that are ours.
func published(c prometheus.Collector) ([]Metric, error) {
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(c); err != nil {
		return nil, err
	}
	families, err := r.Gather()
	if err != nil {
		return nil, err
	}
	var all []Metric
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "wsproxy_") {
			all = append(all, Metric{f.GetName(), f.GetHelp(), strings.ToLower(f.GetType().String()), labels(f)})
		}
	}
	return all, missing(c, all)
}

func labels(f *dto.MetricFamily) []string {
	var names []string
	for _, label := range f.GetMetric()[0].GetLabel() {
		names = append(names, label.GetName())
	}
	slices.Sort(names)
	return names
}

// missing says which metric is described and has no series.
func missing(c prometheus.Collector, have []Metric) error {
	described := make(chan *prometheus.Desc)
	go func() {
		defer close(described)
		c.Describe(described)
	}()
	var lacking []string
	for d := range described {
		_, name, _ := strings.Cut(d.String(), `fqName: "`)
		name, _, _ = strings.Cut(name, `"`)
		if strings.HasPrefix(name, "wsproxy_") && !slices.ContainsFunc(have, func(m Metric) bool { return m.Name == name }) {
			lacking = append(lacking, name)
		}
	}
	if len(lacking) > 0 {
		return fmt.Errorf("nothing is to be seen of %s", strings.Join(lacking, ", "))
	}
	return nil
}
