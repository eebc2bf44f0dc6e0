// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	managerconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/wsproxy/wsproxy/controllers"
	"github.com/wsproxy/wsproxy/controllers/apiservice"
)

// deleteNamespace begins to delete the room. Nobody finishes that: the controller
// of namespaces is not part of an API server.
func (r *room) deleteNamespace() {
	r.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace}}
	if err := r.api.Delete(r.Context(), namespace); err != nil {
		r.Fatal(err)
	}
}

func (r *room) noAPIService() {
	r.Helper()
	r.eventually(func() error {
		_, _, err := readAPIService(r.Context(), r.api)
		if err == nil {
			return errors.New("the APIService is there")
		}
		if !apierrors.IsNotFound(err) {
			r.Fatal(err)
		}
		return nil
	})
}

func TestTheAPIServiceGoesWithTheNamespaceOfItsServer(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.apiService(apiservice.Service, 443)
	r.caBundle(exists[corev1.Secret](r, apiservice.SecretName).Data["ca.crt"])
	other := newRoom(t)
	other.deleteNamespace()
	// What it sees of its own namespace is no deletion.
	before := reconciled(r, "apiservice-removal")
	r.patch(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace}}, `{"metadata":{"labels":{"look":"1"}}}`)
	r.eventually(func() error {
		if reconciled(r, "apiservice-removal") == before {
			return errors.New("it has not looked")
		}
		return nil
	})
	if _, _, err := readAPIService(t.Context(), r.api); err != nil {
		t.Fatalf("the APIService, while its namespace stays: %v", err)
	}
	r.deleteNamespace()
	r.noAPIService()
}

func TestAnAPIServiceThatLeadsElsewhereStaysWhenTheNamespaceGoes(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.apiService("another", 443)
	before := reconciled(r, "apiservice-removal")
	r.deleteNamespace()
	r.eventually(func() error {
		if reconciled(r, "apiservice-removal") == before {
			return errors.New("it has not looked")
		}
		return nil
	})
	if o, _, err := readAPIService(t.Context(), r.api); err != nil || o.GetDeletionTimestamp() != nil {
		t.Errorf("somebody else's APIService: %v", err)
	}
}

// The pods of a namespace that is being deleted go first, and nobody knows in
// which order.
func TestAnOperatorThatDoesNotLeadRemovesTheAPIService(t *testing.T) {
	r := newRoom(t)
	r.create(&coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: "lead"},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity:       new("another"),
			LeaseDurationSeconds: new(int32(3600)),
			RenewTime:            &metav1.MicroTime{Time: time.Now()},
		},
	})
	scheme, err := controllers.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	m, err := manager.New(server.config, manager.Options{
		Scheme:                  scheme,
		Cache:                   controllers.CacheOptions(r.namespace, nil),
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		Controller:              managerconfig.Controller{SkipNameValidation: new(true)},
		LeaderElection:          true,
		LeaderElectionID:        "lead",
		LeaderElectionNamespace: r.namespace,
	})
	if err != nil {
		t.Fatal(err)
	}
	removal := &apiservice.Removal{Client: m.GetClient(), Live: m.GetAPIReader(), Namespace: r.namespace}
	if err := removal.SetupWithManager(m); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Start(ctx) }()
	r.apiService(apiservice.Service, 443)
	r.deleteNamespace()
	r.noAPIService()
	select {
	case <-m.Elected():
		t.Error("it leads")
	default:
	}
	stop()
	if err := client.IgnoreNotFound(<-ended); err != nil {
		t.Error(err)
	}
}
