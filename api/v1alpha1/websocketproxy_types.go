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
// +kubebuilder:printcolumn:name="Draining",type=integer,JSONPath=`.status.dataplane.draining`,priority=1
// +kubebuilder:printcolumn:name="Connections",type=integer,JSONPath=`.status.connections`
// +kubebuilder:printcolumn:name="Class",type=string,JSONPath=`.status.className`,priority=1
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.address`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')",messageExpression="'metadata.name is %s, must be a DNS label (RFC 1035: lower-case letters, digits and hyphens, starting with a letter, ending with a letter or digit) of at most 40 characters'.format([self.metadata.name])",fieldPath=".metadata"
type WebSocketProxy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired state of the proxy.
	// +required
	Spec WebSocketProxySpec `json:"spec"`

	// status is the observed state of the proxy; it is written by the operator.
	// Its default says that the operator has not seen the proxy yet: without it,
	// tools would take a proxy that has no conditions for one that is ready.
	// +kubebuilder:default={"observedGeneration": 0, "replicas": 0, "readyReplicas": 0, "connections": 0, "conditions": {{"type": "Ready", "status": "Unknown", "reason": "Pending", "message": "the operator has not seen this proxy yet", "lastTransitionTime": "1970-01-01T00:00:00Z"}}}
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

// WebSocketProxySpec is the desired state of a WebSocketProxy. Its sections may be
// null, which is the same as absent: server-side apply leaves that behind where one
// manager takes back the last field of a section that another one has emptied (seen
// with Kubernetes 1.36), and it must not be refused.
type WebSocketProxySpec struct {
	// className names the WebSocketProxyClass from which this proxy inherits
	// what it does not set itself. Absent or empty: the class that carries the annotation
	// wsproxy.io/is-default-class: "true"; where there is none, what is built in.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || !format.dns1123Subdomain().validate(self).hasValue()",messageExpression="'className is %s, must be the name of a WebSocketProxyClass (lower-case letters, digits, hyphens and dots)'.format([self])"
	// +optional
	ClassName string `json:"className,omitempty"`

	// replicas is the number of data-plane pods. Leave it out of Git where an
	// autoscaler owns it. Range 0 to 1000, default 2.
	// +kubebuilder:default=2
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 1000",messageExpression="'replicas is %d, must be 0 to 1000 pods'.format([self])"
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// listen is the side that clients see.
	// +nullable
	// +optional
	Listen Listen `json:"listen,omitempty,omitzero"`

	// upstream is where the connections go.
	// +required
	Upstream Upstream `json:"upstream"`

	// settings are the timeout, retry and reconnect settings. What is absent is
	// inherited from the class, then built in; see status.effectiveSettings.
	// +nullable
	// +optional
	Settings Settings `json:"settings,omitempty,omitzero"`

	// reconnect shapes what happens while settings.autoReconnect holds a client.
	// +nullable
	// +optional
	Reconnect Reconnect `json:"reconnect,omitempty,omitzero"`

	// limits bound what clients may do. What is absent is inherited from the
	// class; without a class that sets it there is no limit.
	// +nullable
	// +optional
	Limits Limits `json:"limits,omitempty,omitzero"`

	// drain shapes how connections end when a pod goes away. What is absent is
	// inherited from the class, then built in.
	// +nullable
	// +optional
	Drain Drain `json:"drain,omitempty,omitzero"`

	// service shapes the Service through which clients reach the pods.
	// +nullable
	// +optional
	Service Service `json:"service,omitempty,omitzero"`

	// podTemplate adds to the data-plane pods what Kubernetes itself governs.
	// Changing it replaces the pods, one after the other, each after a drain.
	// +nullable
	// +optional
	PodTemplate PodTemplate `json:"podTemplate,omitempty,omitzero"`
}

// Listen is the side of a proxy that clients see.
type Listen struct {
	// port is the port of the Service. Range 1 to 65535, built in 80, or 443
	// with tls.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 65535",messageExpression="'port is %d, must be 1 to 65535'.format([self])"
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
	// +kubebuilder:validation:items:XValidation:rule=`self.matches(r'^/[^\x00-\x20\x7f?#]*$') && !self.matches(r'//|/[.][.]?(/|$)')`,messageExpression="'path is %s, must start with / and have no spaces, no query, no fragment and no empty, . or .. segments'.format([self])"
	// +listType=set
	// +optional
	Paths []string `json:"paths,omitempty"`

	// allowedOrigins are the values of the Origin header (RFC 6454: scheme,
	// host and port where it is not the scheme's) that browsers may connect
	// from; another one is answered 403. A client that sends no Origin is not a
	// browser and is let in. Empty: every origin is let in.
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:XValidation:rule=`self.matches(r'^[A-Za-z][A-Za-z0-9+.-]*://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$')`,messageExpression="'origin is %s, must be scheme://host or scheme://host:port, without a path, such as https://shop.example'.format([self])"
	// +listType=set
	// +optional
	AllowedOrigins []string `json:"allowedOrigins,omitempty"`

	// trustedProxies are the networks (CIDR) of the proxies in front of this one
	// whose X-Forwarded-*, Forwarded and X-WebSocket-* headers are believed.
	// From anybody else these headers are removed. Empty: nobody is believed.
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",messageExpression="'network is %s, must be in CIDR notation, such as 10.0.0.0/8'.format([self])"
	// +kubebuilder:validation:items:XValidation:rule="!isCIDR(self) || cidr(self) == cidr(self).masked()",messageExpression="'network is %s, must have no bits set beyond its prefix, such as %s'.format([self, string(cidr(self).masked())])"
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
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || !format.dns1123Subdomain().validate(self).hasValue()",messageExpression="'secretName is %s, must be the name of a Secret (lower-case letters, digits, hyphens and dots)'.format([self])"
	// +required
	SecretName string `json:"secretName"`
}

// Upstream is where the connections of a proxy go.
//
// +kubebuilder:validation:XValidation:rule="has(self.serviceRef) != (has(self.url) && self.url.size() > 0)",messageExpression="'exactly one of serviceRef and url must be set, and ' + (has(self.serviceRef) ? 'both are' : 'neither is')"
// +kubebuilder:validation:XValidation:rule="!has(self.tls) || !has(self.url) || !self.url.startsWith('ws://')",fieldPath=".tls",message="tls needs serviceRef, or a url that starts with wss://, not ws://"
type Upstream struct {
	// serviceRef is a Service in the proxy's namespace. Its endpoints are
	// watched and connected to directly; the client's Host header is kept.
	// +optional
	ServiceRef *ServiceReference `json:"serviceRef,omitempty"`

	// url is an absolute ws:// or wss:// URL without query and fragment. The
	// Host header is the URL's, and its path is put before the client's.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.startsWith('ws://') || self.startsWith('wss://')",messageExpression="'url starts with %s, must start with ws:// or wss://'.format([self.split('/', 2)[0]])"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[^/]*//[^/]*@')",message="url carries a user or a password, must carry neither: they would be in the log, in etcd and in every backup"
	// +kubebuilder:validation:XValidation:rule="!self.matches('[?#]')",message="url has a query or a fragment, must have neither: the query is the client's"
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^wss?://') || self.matches('[?#@]') || (isURL(self) && self.matches(r'^wss?://([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?([.][A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*[.]?|\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\])(:[0-9]{1,5})?(/[!-~]*)?$') && (!self.matches(r'^wss?://\[') || isIP(self.find(r'\[[0-9A-Fa-f:.]*\]').replace('[', '').replace(']', ''))) && (!self.matches('^[^/]*//[^/]*:[0-9]+(/|$)') || (int(url(self).getPort()) >= 1 && int(url(self).getPort()) <= 65535)))`,messageExpression="'url is %s, must be an absolute URL with a host, and a port of 1 to 65535 if any, such as wss://chat.example.com/ws'.format([self])"
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
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || !format.dns1123Label().validate(self).hasValue()",messageExpression="'name is %s, must be the name of a Service (lower-case letters, digits and hyphens, at most 63 characters)'.format([self])"
	// +required
	Name string `json:"name"`

	// port of the Service. Range 1 to 65535.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 65535",messageExpression="'port is %d, must be 1 to 65535'.format([self])"
	// +required
	Port int32 `json:"port"`
}

// UpstreamTLS shapes the TLS connection to the upstream.
type UpstreamTLS struct {
	// caSecretName is a Secret in the proxy's namespace whose key ca.crt holds
	// the certificates (PEM) that the upstream's certificate is verified with.
	// Absent: the certificates of the data-plane image.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || !format.dns1123Subdomain().validate(self).hasValue()",messageExpression="'caSecretName is %s, must be the name of a Secret (lower-case letters, digits, hyphens and dots)'.format([self])"
	// +optional
	CASecretName string `json:"caSecretName,omitempty"`

	// serverName is the name that the upstream's certificate must carry and that
	// is sent in SNI. Absent: the host of url, or with serviceRef
	// <service>.<namespace>.svc.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || isIP(self) || !format.dns1123Subdomain().validate(self).hasValue()",messageExpression="'serverName is %s, must be a DNS name in lower case or an IP address'.format([self])"
	// +optional
	ServerName string `json:"serverName,omitempty"`

	// clientCertSecretName is a Secret of type kubernetes.io/tls in the proxy's
	// namespace with the certificate that is shown to the upstream.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || !format.dns1123Subdomain().validate(self).hasValue()",messageExpression="'clientCertSecretName is %s, must be the name of a Secret (lower-case letters, digits, hyphens and dots)'.format([self])"
	// +optional
	ClientCertSecretName string `json:"clientCertSecretName,omitempty"`
}

// Service shapes the Service of a proxy.
//
// +kubebuilder:validation:XValidation:rule="!has(self.externalTrafficPolicy) || self.externalTrafficPolicy.size() == 0 || (has(self.type) && self.type in ['NodePort', 'LoadBalancer'])",fieldPath=".externalTrafficPolicy",messageExpression="'externalTrafficPolicy is %s, but the type is %s, must be NodePort or LoadBalancer'.format([self.externalTrafficPolicy, (has(self.type) && self.type.size() > 0 ? self.type : 'ClusterIP')])"
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerClass) || (has(self.type) && self.type == 'LoadBalancer')",fieldPath=".loadBalancerClass",messageExpression="'loadBalancerClass is %s, but the type is %s, must be LoadBalancer'.format([self.loadBalancerClass, (has(self.type) && self.type.size() > 0 ? self.type : 'ClusterIP')])"
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerSourceRanges) || size(self.loadBalancerSourceRanges) == 0 || (has(self.type) && self.type == 'LoadBalancer')",fieldPath=".loadBalancerSourceRanges",messageExpression="'loadBalancerSourceRanges is set, but the type is %s, must be LoadBalancer'.format([(has(self.type) && self.type.size() > 0 ? self.type : 'ClusterIP')])"
type Service struct {
	// type of the Service: ClusterIP, NodePort or LoadBalancer. Built in
	// ClusterIP.
	// +kubebuilder:validation:Enum="";ClusterIP;NodePort;LoadBalancer
	// +optional
	Type corev1.ServiceType `json:"type,omitempty"`

	// annotations of the Service, for load balancers that are configured by
	// them. Keys of the domain wsproxy.io are reserved.
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, k.lowerAscii().matches('^([^/]*[.])?wsproxy[.]io/'))",messageExpression="'annotations has %s, must have no keys of the reserved domain wsproxy.io'.format([self.filter(k, k.lowerAscii().matches('^([^/]*[.])?wsproxy[.]io/'))])"
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, format.qualifiedName().validate(k.lowerAscii()).hasValue())",messageExpression="'annotations has %s, must have keys of the form name or domain/name'.format([self.filter(k, format.qualifiedName().validate(k.lowerAscii()).hasValue())])"
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// externalTrafficPolicy of the Service: Cluster or Local. It needs type
	// NodePort or LoadBalancer.
	// +kubebuilder:validation:Enum="";Cluster;Local
	// +optional
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`

	// loadBalancerClass of the Service. It needs type LoadBalancer.
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="!format.qualifiedName().validate(self).hasValue()",messageExpression="'loadBalancerClass is %s, must be a name or domain/name, such as example.com/internal'.format([self])"
	// +optional
	LoadBalancerClass *string `json:"loadBalancerClass,omitempty"`

	// loadBalancerSourceRanges are the networks (CIDR) that the load balancer
	// lets in. They need type LoadBalancer.
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",messageExpression="'network is %s, must be in CIDR notation, such as 10.0.0.0/8'.format([self])"
	// +kubebuilder:validation:items:XValidation:rule="!isCIDR(self) || cidr(self) == cidr(self).masked()",messageExpression="'network is %s, must have no bits set beyond its prefix, such as %s'.format([self, string(cidr(self).masked())])"
	// +listType=set
	// +optional
	LoadBalancerSourceRanges []string `json:"loadBalancerSourceRanges,omitempty"`
}

// PodTemplate adds to data-plane pods what Kubernetes itself governs.
//
// +kubebuilder:object:generate=false
type PodTemplate struct {
	// labels are added to the pods. Keys of the domains wsproxy.io and
	// app.kubernetes.io are reserved.
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, k.lowerAscii().matches('^([^/]*[.])?(wsproxy[.]io|app[.]kubernetes[.]io)/'))",messageExpression="'labels has %s, must have no keys of the reserved domains wsproxy.io and app.kubernetes.io'.format([self.filter(k, k.lowerAscii().matches('^([^/]*[.])?(wsproxy[.]io|app[.]kubernetes[.]io)/'))])"
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, format.qualifiedName().validate(k).hasValue())",messageExpression="'labels has %s, must have keys of the form name or domain/name'.format([self.filter(k, format.qualifiedName().validate(k).hasValue())])"
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations are added to the pods. Keys of the domain wsproxy.io are
	// reserved.
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, k.lowerAscii().matches('^([^/]*[.])?wsproxy[.]io/'))",messageExpression="'annotations has %s, must have no keys of the reserved domain wsproxy.io'.format([self.filter(k, k.lowerAscii().matches('^([^/]*[.])?wsproxy[.]io/'))])"
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, format.qualifiedName().validate(k.lowerAscii()).hasValue())",messageExpression="'annotations has %s, must have keys of the form name or domain/name'.format([self.filter(k, format.qualifiedName().validate(k.lowerAscii()).hasValue())])"
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// resources of the data-plane container. A request must not be larger than
	// its limit; claims are not supported.
	// +kubebuilder:validation:XValidation:rule="!has(self.claims) || size(self.claims) == 0",fieldPath=".claims",message="claims must be absent: a data-plane pod has no resource claims"
	// +kubebuilder:validation:XValidation:rule="!has(self.requests) || ['cpu', 'memory', 'ephemeral-storage'].all(r, !(r in self.requests) || !quantity(string(self.requests[r])).isLessThan(quantity('0')))",fieldPath=".requests",message="requests of cpu, memory and ephemeral-storage must not be negative"
	// +kubebuilder:validation:XValidation:rule="!has(self.limits) || ['cpu', 'memory', 'ephemeral-storage'].all(r, !(r in self.limits) || !quantity(string(self.limits[r])).isLessThan(quantity('0')))",fieldPath=".limits",message="limits of cpu, memory and ephemeral-storage must not be negative"
	// +kubebuilder:validation:XValidation:rule="!has(self.requests) || !has(self.limits) || ['cpu', 'memory', 'ephemeral-storage'].all(r, !(r in self.requests) || !(r in self.limits) || quantity(string(self.requests[r])).compareTo(quantity(string(self.limits[r]))) <= 0)",fieldPath=".requests",messageExpression="'requests has %s, must be at most the limits, which have %s'.format([self.requests, self.limits])"
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty,omitzero"`

	// nodeSelector of the pods.
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, format.qualifiedName().validate(k).hasValue())",messageExpression="'nodeSelector has %s, must have keys of the form name or domain/name'.format([self.filter(k, format.qualifiedName().validate(k).hasValue())])"
	// +optional
	NodeSelector map[string]LabelValue `json:"nodeSelector,omitempty"`

	// tolerations of the pods.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:XValidation:rule="!has(self.effect) || self.effect in ['', 'NoSchedule', 'PreferNoSchedule', 'NoExecute']",messageExpression="'effect is %s, must be NoSchedule, PreferNoSchedule or NoExecute, or absent for all'.format([self.effect])",fieldPath=".effect"
	// +kubebuilder:validation:items:XValidation:rule="!has(self.operator) || self.operator in ['', 'Equal', 'Exists']",messageExpression="'operator is %s, must be Equal or Exists'.format([self.operator])",fieldPath=".operator"
	// +kubebuilder:validation:items:XValidation:rule="(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')",message="operator must be Exists where key is absent",fieldPath=".operator"
	// +kubebuilder:validation:items:XValidation:rule="!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",message="value must be absent where operator is Exists",fieldPath=".value"
	// +kubebuilder:validation:items:XValidation:rule="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",message="effect must be NoExecute where tolerationSeconds is set",fieldPath=".effect"
	// +listType=atomic
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// affinity of the pods.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// topologySpreadConstraints of the pods. A constraint without a
	// labelSelector counts the pods of this proxy.
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:XValidation:rule="self.maxSkew >= 1",messageExpression="'maxSkew is %d, must be at least 1'.format([self.maxSkew])",fieldPath=".maxSkew"
	// +kubebuilder:validation:items:XValidation:rule="self.topologyKey != ''",message="topologyKey must be the key of a node label, such as topology.kubernetes.io/zone",fieldPath=".topologyKey"
	// +kubebuilder:validation:items:XValidation:rule="self.whenUnsatisfiable in ['DoNotSchedule', 'ScheduleAnyway']",messageExpression="'whenUnsatisfiable is %s, must be DoNotSchedule or ScheduleAnyway'.format([self.whenUnsatisfiable])",fieldPath=".whenUnsatisfiable"
	// +listType=atomic
	// +optional
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
}

// LabelValue is the value of a label. It is an alias, so that it can have a
// schema of its own and be a string everywhere.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="!format.labelValue().validate(self).hasValue()",messageExpression="'value is %s, must be at most 63 letters, digits, hyphens, underscores and dots, starting and ending with a letter or digit'.format([self])"
type LabelValue = string
