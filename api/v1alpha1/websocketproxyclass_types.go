// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DefaultClassAnnotation, with the value "true", marks the class of the proxies
// that name none, as ingressclass.kubernetes.io/is-default-class does for
// Ingresses. No other value marks anything.
const DefaultClassAnnotation = "wsproxy.io/is-default-class"

// IsDefault says whether the class is marked as the default.
func (c *WebSocketProxyClass) IsDefault() bool {
	return c.Annotations[DefaultClassAnnotation] == "true"
}

// WebSocketProxyClass holds the system settings: what the proxies of this class
// inherit where they do not set it themselves. The annotation
// wsproxy.io/is-default-class: "true" makes it the class of the proxies that
// name none.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=wspc,categories=wsproxy
// +kubebuilder:printcolumn:name="Default",type=boolean,JSONPath=`.status.default`
// +kubebuilder:printcolumn:name="Proxies",type=integer,JSONPath=`.status.proxies`
// +kubebuilder:printcolumn:name="Pods",type=integer,JSONPath=`.status.pods`
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.spec.image`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",messageExpression="'metadata.name is %s, must have at most 63 characters'.format([self.metadata.name])",fieldPath=".metadata"
type WebSocketProxyClass struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the proxies of this class inherit.
	// +optional
	Spec WebSocketProxyClassSpec `json:"spec,omitempty,omitzero"`

	// status is who inherits from this class; it is written by the operator, which
	// counts at most once a second.
	// +optional
	Status WebSocketProxyClassStatus `json:"status,omitempty,omitzero"`
}

// WebSocketProxyClassList is a list of WebSocketProxyClasses.
//
// +kubebuilder:object:root=true
type WebSocketProxyClassList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []WebSocketProxyClass `json:"items"`
}

// WebSocketProxyClassSpec is what the proxies of a class inherit. Its sections may
// be null for the same reason as those of a WebSocketProxySpec.
type WebSocketProxyClassSpec struct {
	// settings are inherited field by field.
	// +nullable
	// +optional
	Settings Settings `json:"settings,omitempty,omitzero"`

	// limits are inherited field by field.
	// +nullable
	// +optional
	Limits Limits `json:"limits,omitempty,omitzero"`

	// drain is inherited field by field.
	// +nullable
	// +optional
	Drain Drain `json:"drain,omitempty,omitzero"`

	// image of the data-plane container. Absent: the image that came with the
	// operator. Changing it replaces the pods of the class's proxies.
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[!-~]*$')`,messageExpression="'image is %s, must be an image reference without spaces, such as ghcr.io/wsproxy/dataplane:v1'.format([self])"
	// +optional
	Image string `json:"image,omitempty"`

	// podTemplate is inherited field by field; labels, annotations and
	// nodeSelector key by key. Changing it replaces the pods of the class's
	// proxies.
	// +nullable
	// +optional
	PodTemplate PodTemplate `json:"podTemplate,omitempty,omitzero"`

	// allowedOverrides says which fields of podTemplate a proxy of this class
	// may set itself. Placing pods on nodes is often the platform's to decide.
	// +nullable
	// +optional
	AllowedOverrides AllowedOverrides `json:"allowedOverrides,omitempty,omitzero"`
}

// AllowedOverrides says which fields of podTemplate a proxy may set itself. A
// proxy that sets one that is not allowed is Accepted=False.
type AllowedOverrides struct {
	// nodeSelector says whether proxies may set podTemplate.nodeSelector and
	// podTemplate.affinity. Built in true.
	// +optional
	NodeSelector *bool `json:"nodeSelector,omitempty"`

	// tolerations says whether proxies may set podTemplate.tolerations.
	// Built in true.
	// +optional
	Tolerations *bool `json:"tolerations,omitempty"`
}

// WebSocketProxyClassStatus says who inherits from a class.
type WebSocketProxyClassStatus struct {
	// default says that the class is marked as the default: the value of its
	// annotation wsproxy.io/is-default-class is "true". Absent: it is not.
	// +optional
	Default bool `json:"default,omitempty"`

	// proxies is the number of proxies that inherit from this class: those that
	// name it and, where it is the only default, those that name none. Absent: not
	// counted yet.
	// +optional
	Proxies *int32 `json:"proxies,omitempty"`

	// pods is the number of data-plane pods that these proxies have. Absent: not
	// counted yet.
	// +optional
	Pods *int32 `json:"pods,omitempty"`
}
