// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

const (
	// nameSuffix keeps the objects of a proxy apart from those of the
	// application, which often has a Service of the proxy's own name: that is
	// what the proxy connects to. A proxy's name has at most 40 characters, so
	// the result has at most 48 of the 63 that a Service may have.
	nameSuffix = "-wsproxy"

	// ContainerName is the name of the data-plane container.
	ContainerName = "dataplane"

	// FieldOwner owns every field that the operator applies.
	FieldOwner = "wsproxy-operator"

	// The names of the ports of pods and Service.
	portTraffic = "traffic"
	portControl = "control"
	portMetrics = "metrics"

	volumeConfig = "config"
	volumeSecret = "tls"
	volumeState  = "state"

	// AnnotationUpstreamService on a ConfigMap says from which Service
	// ("name:port") the endpoints of its snapshot are. They are kept fresh from
	// it also while the spec of the proxy is not accepted.
	AnnotationUpstreamService = "wsproxy.io/upstream-service"

	// AnnotationMadeFrom on a ConfigMap says which proxy and which class, in which
	// generation ("uid/generation uid/generation"), its snapshot was made from.
	// Whoever knows older ones only does not write over it.
	AnnotationMadeFrom = "wsproxy.io/made-from"

	// AnnotationVersionOffset on a ConfigMap is added to its resourceVersion to make
	// the version of its snapshot. It is there in a cluster that was restored from
	// a backup, because versions must not become lower.
	AnnotationVersionOffset = "wsproxy.io/version-offset"

	// AnnotationPodTemplate on a Deployment is a hash of the pod template that the
	// operator applied. Another one means that the pods will be replaced.
	AnnotationPodTemplate = "wsproxy.io/pod-template"
	// AnnotationSharedTemplate is a hash of what of it was given to every proxy of the
	// class when the pods were made: the image and the podTemplate of the class.
	AnnotationSharedTemplate = "wsproxy.io/shared-template"
	// AnnotationOwnTemplate is a hash of what of it the proxy itself says.
	AnnotationOwnTemplate = "wsproxy.io/own-template"
)

// Name is the name of every object of a proxy: ServiceAccount, Secret, ConfigMap,
// Deployment, Service, PodDisruptionBudget and NetworkPolicy. The clients of a proxy
// "echo" connect to the Service "echo-wsproxy".
func Name(proxy string) string { return proxy + nameSuffix }

// Key is the namespace and the name of every object of a proxy.
func Key(proxy *wsproxyv1alpha1.WebSocketProxy) types.NamespacedName {
	return types.NamespacedName{Namespace: proxy.Namespace, Name: Name(proxy.Name)}
}

// Address is the URL of a proxy for clients inside the cluster.
func Address(proxy *wsproxyv1alpha1.WebSocketProxy) string {
	scheme := "ws"
	if proxy.Spec.Listen.TLS != nil {
		scheme = "wss"
	}
	return fmt.Sprintf("%s://%s.%s.svc:%d", scheme, Name(proxy.Name), proxy.Namespace, proxy.Spec.EffectivePort())
}

// UpstreamService is the value of AnnotationUpstreamService; empty where the
// upstream is no Service.
func UpstreamService(proxy *wsproxyv1alpha1.WebSocketProxy) string {
	ref := proxy.Spec.Upstream.ServiceRef
	if ref == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d", ref.Name, ref.Port)
}
