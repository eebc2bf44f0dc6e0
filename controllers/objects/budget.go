// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// PodDisruptionBudget returns the budget that lets evictions take one pod at a
// time, each after its drain. A pod that is not healthy may always be evicted:
// it would block the drain of its node and carries nothing worth the wait.
func PodDisruptionBudget(proxy *wsproxyv1alpha1.WebSocketProxy) *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	return policyv1ac.PodDisruptionBudget(Name(proxy.Name), proxy.Namespace).
		WithLabels(Labels(proxy.Name)).
		WithOwnerReferences(ownerReference(proxy)).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(intstr.FromInt32(1)).
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(Labels(proxy.Name))))
}
