// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"maps"

	"k8s.io/apimachinery/pkg/labels"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// The labels of what the operator makes (the recommended labels of Kubernetes).
const (
	LabelName      = "app.kubernetes.io/name"
	LabelInstance  = "app.kubernetes.io/instance"
	LabelManagedBy = "app.kubernetes.io/managed-by"
	LabelComponent = "app.kubernetes.io/component"

	valueName      = "wsproxy"
	valueManagedBy = "wsproxy-operator"
	valueDataplane = "dataplane"
	// The components of the installation whose pods call those of proxies; its
	// manifests give them these labels.
	valueOperator  = "operator"
	valueAPIServer = "apiserver"
)

// Labels returns the labels of every object and pod of a proxy. They are also
// the selector of its Deployment, which can never be changed, so nothing that
// depends on the spec may be among them.
func Labels(proxy string) map[string]string {
	return map[string]string{
		LabelName:                  valueName,
		LabelInstance:              proxy,
		LabelManagedBy:             valueManagedBy,
		LabelComponent:             valueDataplane,
		wsproxyv1alpha1.LabelProxy: proxy,
	}
}

// Managed returns the labels that every object of every proxy carries.
func Managed() map[string]string {
	m := Labels("")
	maps.DeleteFunc(m, func(_, v string) bool { return v == "" })
	return m
}

// Selector returns the selector of a proxy's pods in its text form, for
// status.selector.
func Selector(proxy string) string { return labels.SelectorFromSet(Labels(proxy)).String() }

// ownerReference makes the proxy the controller of an object, so that the
// garbage collector takes the object away with the proxy.
func ownerReference(proxy *wsproxyv1alpha1.WebSocketProxy) *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().
		WithAPIVersion(wsproxyv1alpha1.GroupVersion.String()).
		WithKind("WebSocketProxy").
		WithName(proxy.Name).
		WithUID(proxy.UID).
		WithController(true).
		WithBlockOwnerDeletion(true)
}

// AuthorityLabels returns the labels of the Secret that holds the certificate
// authority. It belongs to the installation, not to a proxy.
func AuthorityLabels() map[string]string { return installation("certificate-authority") }

// APIServerLabels returns the labels of the Secret of the aggregated API server, and of
// the ConfigMaps by which it is trusted. They belong to the installation, too.
func APIServerLabels() map[string]string { return installation(valueAPIServer) }

func installation(component string) map[string]string {
	return map[string]string{
		LabelName:      valueName,
		LabelManagedBy: valueManagedBy,
		LabelComponent: component,
	}
}
