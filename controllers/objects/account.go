// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// ServiceAccount returns the account of a proxy's pods. It has no rights and
// its token is not mounted: it exists so that policies and audit can tell the
// pods of one proxy from those of another.
func ServiceAccount(proxy *wsproxyv1alpha1.WebSocketProxy) *corev1ac.ServiceAccountApplyConfiguration {
	return corev1ac.ServiceAccount(Name(proxy.Name), proxy.Namespace).
		WithLabels(Labels(proxy.Name)).
		WithOwnerReferences(ownerReference(proxy)).
		WithAutomountServiceAccountToken(false)
}
