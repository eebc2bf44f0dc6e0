// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"fmt"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// ConfigMap returns the ConfigMap that carries a proxy's snapshot. A pod that
// starts reads it from there; a pod that runs is pushed the same content.
//
// upstreamService is the value of AnnotationUpstreamService.
func ConfigMap(proxy *wsproxyv1alpha1.WebSocketProxy, snapshot *dataplanev1alpha1.Snapshot, upstreamService string) (*corev1ac.ConfigMapApplyConfiguration, error) {
	raw, err := dataplanev1alpha1.MarshalSnapshot(snapshot)
	if err != nil {
		return nil, fmt.Errorf("ConfigMap %s: %w", Name(proxy.Name), err)
	}
	cm := corev1ac.ConfigMap(Name(proxy.Name), proxy.Namespace).
		WithLabels(Labels(proxy.Name)).
		WithOwnerReferences(ownerReference(proxy)).
		WithData(map[string]string{dataplanev1alpha1.SnapshotFile: string(raw)})
	if upstreamService != "" {
		cm.WithAnnotations(map[string]string{AnnotationUpstreamService: upstreamService})
	}
	return cm, nil
}
