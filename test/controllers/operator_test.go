// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	managerconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/wsproxy/wsproxy/controllers"
	"github.com/wsproxy/wsproxy/controllers/certificates"
)

// image is the data-plane image of the operators of the tests.
const image = "registry.example/dataplane:test"

// operator is a running operator.
type operator struct {
	stop    func()
	metrics *prometheus.Registry
	// authority is not loaded before the operator has begun to work.
	authority *certificates.Authority
}

// addresses are where the pods of the tests listen, by the IP that they report.
var addresses sync.Map

func controlAddress(pod *corev1.Pod) string {
	if address, ok := addresses.Load(pod.Status.PodIP); ok {
		return address.(string)
	}
	// A pod that reports an IP and does not listen yet.
	return pod.Status.PodIP + ":1"
}

// startOperator starts an operator whose own namespace is the given one. It ends
// with the test, or before when its stop is called.
func startOperator(t *testing.T, namespace string, change ...func(*controllers.Options)) *operator {
	t.Helper()
	return startOperatorAs(t, server.config, namespace, change...)
}

// startOperatorAs is startOperator with another way to the API server.
func startOperatorAs(t *testing.T, config *rest.Config, namespace string, change ...func(*controllers.Options)) *operator {
	t.Helper()
	scheme, err := controllers.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	o := &operator{metrics: prometheus.NewRegistry()}
	options := controllers.Options{
		Namespace:       namespace,
		Image:           image,
		Certificates:    certificates.DefaultPolicy(),
		NetworkPolicies: true,
		Registerer:      o.metrics,
		ControlAddress:  controlAddress,
		Now:             time.Now,
	}
	for _, c := range change {
		c(&options)
	}
	m, err := manager.New(config, manager.Options{
		Scheme:  scheme,
		Cache:   controllers.CacheOptions(namespace, options.Watched),
		Metrics: metricsserver.Options{BindAddress: "0"},
		// One process runs many operators, one after the other.
		Controller: managerconfig.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if o.authority, err = controllers.Setup(ctx, m, options); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- m.Start(ctx) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("operator: %v", err)
		}
	})
	t.Cleanup(o.stop)
	return o
}

// count returns a counter with that label value, 0 where it is not there.
func (o *operator) count(name, label string) float64 {
	families, err := o.metrics.Gather()
	if err != nil {
		return 0
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// counted complains unless a counter with that label value has reached n.
func (o *operator) counted(name, label string, n float64) error {
	if got := o.count(name, label); got < n {
		return fmt.Errorf("%s{%s} is %v and has not reached %v", name, label, got, n)
	}
	return nil
}
