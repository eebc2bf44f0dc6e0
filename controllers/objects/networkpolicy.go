// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// NetworkPolicy returns the policy that lets only operator and aggregated API server,
// which run in the given namespace, reach the control port of a proxy's pods. That port
// asks for a certificate of theirs as well; this keeps others from so much as trying.
//
// Clients may come from anywhere, and so may who scrapes metrics: where Prometheus is,
// nobody here knows, and the probes of the kubelet come by the same port. Whatever else
// may listen in the pod, such as the sidecar of a mesh, takes a policy of its own:
// policies only ever add to each other. For the same reason no other policy can narrow
// what this one allows.
//
// What the pods call is left alone: upstreams may be anywhere.
func NetworkPolicy(proxy *wsproxyv1alpha1.WebSocketProxy, from string) *networkingv1ac.NetworkPolicyApplyConfiguration {
	return networkingv1ac.NetworkPolicy(Name(proxy.Name), proxy.Namespace).
		WithLabels(Labels(proxy.Name)).
		WithOwnerReferences(ownerReference(proxy)).
		WithSpec(networkingv1ac.NetworkPolicySpec().
			WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(Labels(proxy.Name))).
			WithPolicyTypes(networkingv1.PolicyTypeIngress).
			WithIngress(
				networkingv1ac.NetworkPolicyIngressRule().WithPorts(allowed(dataplanev1alpha1.PortTraffic), allowed(dataplanev1alpha1.PortMetrics)),
				networkingv1ac.NetworkPolicyIngressRule().WithPorts(allowed(dataplanev1alpha1.PortControl)).WithFrom(
					networkingv1ac.NetworkPolicyPeer().
						WithNamespaceSelector(metav1ac.LabelSelector().WithMatchLabels(map[string]string{corev1.LabelMetadataName: from})).
						WithPodSelector(metav1ac.LabelSelector().
							WithMatchLabels(map[string]string{LabelName: valueName}).
							WithMatchExpressions(metav1ac.LabelSelectorRequirement().
								WithKey(LabelComponent).
								WithOperator(metav1.LabelSelectorOpIn).
								WithValues(valueAPIServer, valueOperator)))),
			))
}

func allowed(port int) *networkingv1ac.NetworkPolicyPortApplyConfiguration {
	return networkingv1ac.NetworkPolicyPort().WithProtocol(corev1.ProtocolTCP).WithPort(intstr.FromInt32(int32(port)))
}
