// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/objects"
)

// everyObject is one of each kind that a proxy becomes.
func everyObject() []client.Object {
	return []client.Object{&corev1.ServiceAccount{}, &corev1.Secret{}, &corev1.ConfigMap{},
		&appsv1.Deployment{}, &corev1.Service{}, &policyv1.PodDisruptionBudget{}, &networkingv1.NetworkPolicy{}}
}

func TestAProxyBecomesItsObjects(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	p := r.proxy("echo")

	first := r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionFalse, wsproxyv1alpha1.ReasonProgressing)
	if first.Message == "" {
		t.Error("Ready says nothing about what it waits for")
	}
	for _, o := range everyObject() {
		r.eventually(func() error {
			return r.api.Get(t.Context(), types.NamespacedName{Namespace: r.namespace, Name: "echo-wsproxy"}, o)
		})
		if !metav1.IsControlledBy(o, p) {
			t.Errorf("%T is not controlled by the proxy: the garbage collector would leave it", o)
		}
		for k, v := range objects.Labels("echo") {
			if o.GetLabels()[k] != v {
				t.Errorf("%T: label %s is %q, want %q", o, k, o.GetLabels()[k], v)
			}
		}
		for _, f := range o.GetManagedFields() {
			if f.Manager != objects.FieldOwner || f.Operation != metav1.ManagedFieldsOperationApply {
				t.Errorf("%T: fields are owned by %s/%s", o, f.Manager, f.Operation)
			}
		}
	}
	r.condition("echo", wsproxyv1alpha1.ConditionAccepted, metav1.ConditionTrue, wsproxyv1alpha1.ReasonAccepted)
	r.condition("echo", wsproxyv1alpha1.ConditionResolvedRefs, metav1.ConditionTrue, wsproxyv1alpha1.ReasonResolved)
	r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionFalse, wsproxyv1alpha1.ReasonNoReadyPods)

	config := get[corev1.ConfigMap](r, "echo-wsproxy")
	snapshot, err := dataplanev1alpha1.UnmarshalSnapshot([]byte(config.Data[dataplanev1alpha1.SnapshotFile]))
	if err != nil {
		t.Fatal(err)
	}
	if snapshot.GetUpstream().GetUrl() != "ws://backend.example" || snapshot.GetProxy() != "echo" {
		t.Errorf("snapshot is %v", snapshot)
	}
	status := get[wsproxyv1alpha1.WebSocketProxy](r, "echo").Status
	if status.Address != "ws://echo-wsproxy."+r.namespace+".svc:80" {
		t.Errorf("address is %q", status.Address)
	}
	if status.Dataplane.ConfigVersion != config.ResourceVersion {
		t.Errorf("configVersion is %q, want the ConfigMap's resourceVersion %q", status.Dataplane.ConfigVersion, config.ResourceVersion)
	}
}

func TestAProxyBecomesReadyWithItsPods(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.proxy("echo")
	exists[corev1.Secret](r, "echo-wsproxy")
	r.pod("echo", "echo-a")
	r.pod("echo", "echo-b")
	r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionTrue, wsproxyv1alpha1.ReasonProgrammed)
	r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionFalse, wsproxyv1alpha1.ReasonProgressing)
	r.roll("echo")
	r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonReady)

	status := get[wsproxyv1alpha1.WebSocketProxy](r, "echo").Status
	if status.Dataplane.Pods != 2 || status.Dataplane.Programmed != 2 || status.ReadyReplicas != 2 {
		t.Errorf("status is %+v", status)
	}
}

func TestScaledToZeroIsReady(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.proxy("echo", func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.Replicas = new(int32(0)) })
	r.roll("echo")
	r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonScaledToZero)
	r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionFalse, wsproxyv1alpha1.ReasonNoReadyPods)
}
