// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"errors"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers"
)

func TestNetworkPoliciesComeAndGoWithTheFlag(t *testing.T) {
	r := newRoom(t)
	first := startOperator(t, r.namespace)
	r.serving("echo", 1)
	policy := exists[networkingv1.NetworkPolicy](r, "echo-wsproxy")
	from := policy.Spec.Ingress[1].From[0].NamespaceSelector.MatchLabels
	if from["kubernetes.io/metadata.name"] != r.namespace {
		t.Errorf("the control port may be reached from %v", from)
	}
	// Somebody takes it away.
	r.delete(policy)
	exists[networkingv1.NetworkPolicy](r, "echo-wsproxy")
	first.stop()

	other := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "other-wsproxy"}}
	r.create(other)
	startOperator(t, r.namespace, func(o *controllers.Options) { o.NetworkPolicies = false })
	r.eventually(func() error {
		err := r.api.Get(t.Context(), types.NamespacedName{Namespace: r.namespace, Name: policy.Name}, policy)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return cmp.Or(err, errors.New("the policy is there"))
	})
	// Somebody else's of such a name is in nobody's way, and stays.
	r.proxy("other", func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.Replicas = new(int32(0)) })
	r.roll("other")
	r.condition("other", wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonScaledToZero)
	if kept := get[networkingv1.NetworkPolicy](r, "other-wsproxy"); kept.UID != other.UID {
		t.Error("it was replaced")
	}
	r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonReady)
}
