// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// Service returns the Service through which clients reach the pods that are
// ready.
func Service(proxy *wsproxyv1alpha1.WebSocketProxy) *corev1ac.ServiceApplyConfiguration {
	from := &proxy.Spec.Service
	spec := corev1ac.ServiceSpec().
		WithType(corev1.ServiceTypeClusterIP).
		WithSelector(Labels(proxy.Name)).
		WithPublishNotReadyAddresses(false).
		WithPorts(corev1ac.ServicePort().
			WithName(portTraffic).
			WithProtocol(corev1.ProtocolTCP).
			WithAppProtocol(appProtocol(proxy)).
			WithPort(proxy.Spec.EffectivePort()).
			WithTargetPort(intstr.FromString(portTraffic)))
	if from.Type != "" {
		spec.WithType(from.Type)
	}
	if from.ExternalTrafficPolicy != "" {
		spec.WithExternalTrafficPolicy(from.ExternalTrafficPolicy)
	}
	if from.LoadBalancerClass != nil {
		spec.WithLoadBalancerClass(*from.LoadBalancerClass)
	}
	spec.WithLoadBalancerSourceRanges(from.LoadBalancerSourceRanges...)

	return corev1ac.Service(Name(proxy.Name), proxy.Namespace).
		WithLabels(Labels(proxy.Name)).
		WithAnnotations(from.Annotations).
		WithOwnerReferences(ownerReference(proxy)).
		WithSpec(spec)
}

// appProtocol tells gateways and meshes what is spoken on the port (KEP-3726).
func appProtocol(proxy *wsproxyv1alpha1.WebSocketProxy) string {
	if proxy.Spec.Listen.TLS != nil {
		return "kubernetes.io/wss"
	}
	return "kubernetes.io/ws"
}
