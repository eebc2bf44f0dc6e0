// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// Secret returns the one Secret through which every certificate reaches a
// proxy's pods: the pod's own, and copies of those that the spec names. Its name
// is fixed, so that naming another certificate in the spec replaces no pod. The
// keys are the names of the files in the data plane's secret directory.
func Secret(proxy *wsproxyv1alpha1.WebSocketProxy, data map[string][]byte) *corev1ac.SecretApplyConfiguration {
	return corev1ac.Secret(Name(proxy.Name), proxy.Namespace).
		WithLabels(Labels(proxy.Name)).
		WithOwnerReferences(ownerReference(proxy)).
		WithType(corev1.SecretTypeOpaque).
		WithData(data)
}
