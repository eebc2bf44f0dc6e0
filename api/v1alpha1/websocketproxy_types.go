// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WebSocketProxy runs data-plane pods that relay WebSocket connections to one
// upstream. Its settings reach the pods live: changing them closes no
// connection.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:resource:shortName=wsp,categories=wsproxy
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Programmed",type=string,JSONPath=`.status.conditions[?(@.type=="Programmed")].status`
// +kubebuilder:printcolumn:name="Pods",type=integer,JSONPath=`.status.readyReplicas`
// +kubebuilder:printcolumn:name="Connections",type=integer,JSONPath=`.status.connections`
// +kubebuilder:printcolumn:name="Class",type=string,JSONPath=`.status.className`,priority=1
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.address`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')",message="metadata.name must be a DNS label (RFC 1035: lower-case letters, digits and '-', starting with a letter, ending with a letter or digit) of at most 40 characters"
type WebSocketProxy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired state of the proxy.
	// +required
	Spec WebSocketProxySpec `json:"spec"`

	// status is the observed state of the proxy; it is written by the operator.
	// +optional
	Status WebSocketProxyStatus `json:"status,omitempty"`
}

// WebSocketProxyList is a list of WebSocketProxies.
//
// +kubebuilder:object:root=true
type WebSocketProxyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []WebSocketProxy `json:"items"`
}

// WebSocketProxySpec is the desired state of a WebSocketProxy.
type WebSocketProxySpec struct {
	// className names the WebSocketProxyClass from which this proxy inherits
	// what it does not set itself. Absent: the class that carries the annotation
	// wsproxy.io/is-default-class: "true"; where there is none, what is built in.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	ClassName string `json:"className,omitempty"`

	// replicas is the number of data-plane pods. Leave it out of Git where an
	// autoscaler owns it. Range 0 to 1000, default 2.
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// listen is the side that clients see.
	// +optional
	Listen Listen `json:"listen,omitempty,omitzero"`

	// upstream is where the connections go.
	// +required
	Upstream Upstream `json:"upstream"`

	// settings are the timeout, retry and reconnect settings. What is absent is
	// inherited from the class, then built in; see status.effectiveSettings.
	// +optional
	Settings Settings `json:"settings,omitempty,omitzero"`

	// reconnect shapes what happens while settings.autoReconnect holds a client.
	// +optional
	Reconnect Reconnect `json:"reconnect,omitempty,omitzero"`

	// limits bound what clients may do. What is absent is inherited from the
	// class; without a class that sets it there is no limit.
	// +optional
	Limits Limits `json:"limits,omitempty,omitzero"`

	// drain shapes how connections end when a pod goes away. What is absent is
	// inherited from the class, then built in.
	// +optional
	Drain Drain `json:"drain,omitempty,omitzero"`

	// service shapes the Service through which clients reach the pods.
	// +optional
	Service Service `json:"service,omitempty,omitzero"`

	// podTemplate adds to the data-plane pods what Kubernetes itself governs.
	// Changing it replaces the pods, one after the other, each after a drain.
	// +optional
	PodTemplate PodTemplate `json:"podTemplate,omitempty,omitzero"`
}

// Listen is the side of a proxy that clients see.
type Listen struct {
	// port is the port of the Service. Range 1 to 65535, built in 80, or 443
	// with tls.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	Port *int32 `json:"port,omitempty"`

	// tls makes clients use wss. Absent: clients use ws.
	// +optional
	TLS *ListenTLS `json:"tls,omitempty"`

	// paths are the path prefixes that are served, compared by whole segments:
	// "/chat" serves /chat and /chat/room, but not /chats. Any other path is
	// answered 404. Empty: every path is served.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=1024
	// +kubebuilder:validation:items:Pattern=`^/[^\s?#]*$`
	// +listType=set
	// +optional
	Paths []string `json:"paths,omitempty"`

	// allowedOrigins are the values of the Origin header (RFC 6454: scheme,
	// host and port where it is not the scheme's) that browsers may connect
	// from; another one is answered 403. A client that sends no Origin is not a
	// browser and is let in. Empty: every origin is let in.
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:Pattern=`^[a-z][a-z0-9+.-]*://[^\s/?#@]+$`
	// +listType=set
	// +optional
	AllowedOrigins []string `json:"allowedOrigins,omitempty"`

	// trustedProxies are the networks (CIDR) of the proxies in front of this one
	// whose X-Forwarded-*, Forwarded and X-WebSocket-* headers are believed.
	// From anybody else these headers are removed. Empty: nobody is believed.
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="must be a network in CIDR notation, such as 10.0.0.0/8"
	// +listType=set
	// +optional
	TrustedProxies []string `json:"trustedProxies,omitempty"`
}

// ListenTLS names the certificate that clients are shown.
type ListenTLS struct {
	// secretName is a Secret of type kubernetes.io/tls in the proxy's
	// namespace. A renewed certificate is used without a restart.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	SecretName string `json:"secretName"`
}

// Upstream is where the connections of a proxy go.
//
// +kubebuilder:validation:XValidation:rule="has(self.serviceRef) != has(self.url)",message="exactly one of serviceRef and url must be set"
// +kubebuilder:validation:XValidation:rule="!has(self.tls) || has(self.serviceRef) || self.url.startsWith('wss://')",message="tls needs serviceRef or a url that starts with wss://"
type Upstream struct {
	// serviceRef is a Service in the proxy's namespace. Its endpoints are
	// watched and connected to directly; the client's Host header is kept.
	// +optional
	ServiceRef *ServiceReference `json:"serviceRef,omitempty"`

	// url is an absolute ws:// or wss:// URL without query and fragment. The
	// Host header is the URL's, and its path is put before the client's.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.startsWith('ws://') || self.startsWith('wss://')",message="must start with ws:// or wss://"
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getHost() != '' && !self.contains('?') && !self.contains('#') && !self.contains('@')",message="must be an absolute URL with a host and without user, query and fragment, such as wss://chat.example.com/ws"
	// +optional
	URL string `json:"url,omitempty"`

	// tls shapes the TLS connection to the upstream. With serviceRef its
	// presence, even empty, means wss; with url it needs a wss URL.
	// +optional
	TLS *UpstreamTLS `json:"tls,omitempty"`
}

// ServiceReference names a port of a Service.
type ServiceReference struct {
	// name of the Service, in the proxy's namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name"`

	// port of the Service. Range 1 to 65535.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +required
	Port int32 `json:"port"`
}

// UpstreamTLS shapes the TLS connection to the upstream.
type UpstreamTLS struct {
	// caSecretName is a Secret in the proxy's namespace whose key ca.crt holds
	// the certificates (PEM) that the upstream's certificate is verified with.
	// Absent: the certificates of the data-plane image.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	CASecretName string `json:"caSecretName,omitempty"`

	// serverName is the name that the upstream's certificate must carry and that
	// is sent in SNI. Absent: the host of url, or with serviceRef
	// <service>.<namespace>.svc.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ServerName string `json:"serverName,omitempty"`

	// clientCertSecretName is a Secret of type kubernetes.io/tls in the proxy's
	// namespace with the certificate that is shown to the upstream.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ClientCertSecretName string `json:"clientCertSecretName,omitempty"`
}

// Service shapes the Service of a proxy.
type Service struct {
	// type of the Service: ClusterIP, NodePort or LoadBalancer. Built in
	// ClusterIP.
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	// +optional
	Type corev1.ServiceType `json:"type,omitempty"`

	// annotations of the Service, for load balancers that are configured by
	// them.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// externalTrafficPolicy of the Service: Cluster or Local. It needs type
	// NodePort or LoadBalancer.
	// +kubebuilder:validation:Enum=Cluster;Local
	// +optional
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`

	// loadBalancerClass of the Service. It needs type LoadBalancer.
	// +kubebuilder:validation:MinLength=1
	// +optional
	LoadBalancerClass *string `json:"loadBalancerClass,omitempty"`

	// loadBalancerSourceRanges are the networks (CIDR) that the load balancer
	// lets in. They need type LoadBalancer.
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="must be a network in CIDR notation, such as 10.0.0.0/8"
	// +listType=set
	// +optional
	LoadBalancerSourceRanges []string `json:"loadBalancerSourceRanges,omitempty"`
}

// PodTemplate adds to data-plane pods what Kubernetes itself governs.
type PodTemplate struct {
	// labels are added to the pods. Keys of the domains wsproxy.io and
	// app.kubernetes.io are reserved.
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^([^/]*[.])?(wsproxy[.]io|app[.]kubernetes[.]io)/'))",message="keys of the domains wsproxy.io and app.kubernetes.io are reserved"
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Labels map[string]string `json:"labels,omitempty"`

	// annotations are added to the pods. Keys of the domain wsproxy.io are
	// reserved.
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^([^/]*[.])?wsproxy[.]io/'))",message="keys of the domain wsproxy.io are reserved"
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// resources of the data-plane container.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty,omitzero"`

	// nodeSelector of the pods.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// tolerations of the pods.
	// +listType=atomic
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// affinity of the pods.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// topologySpreadConstraints of the pods. A constraint without a
	// labelSelector counts the pods of this proxy.
	// +listType=atomic
	// +optional
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
}
