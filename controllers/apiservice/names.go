// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservice

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// Name of the APIService. The operator's RBAC names it, too: no other can be
	// read or written.
	Name = "v1alpha1.connections.wsproxy.io"

	// Service of the aggregated API server, in the operator's own namespace.
	Service = "wsproxy-apiserver"

	// SecretName is the Secret of the aggregated API server, in the same namespace.
	SecretName = "wsproxy-apiserver-tls" // #nosec G101 -- a name, not a credential.

	// TrustName is the ConfigMap with the authorities of the aggregated API server, in
	// each namespace that has a proxy. Its key is FileCA.
	TrustName = "wsproxy-apiserver-ca"

	// FieldOwner owns the caBundle of the APIService and nothing else.
	FieldOwner = "wsproxy-apiservice-ca"
)

// The keys of the Secret, which are the names of the files where it is mounted.
const (
	// FileServingCert and FileServingKey are what kube-apiserver is shown.
	FileServingCert = "tls.crt"
	FileServingKey  = "tls.key"
	// FileClientCert and FileClientKey are what data-plane pods are shown.
	FileClientCert = "client.crt"
	FileClientKey  = "client.key"
	// FileCA verifies data-plane pods, and in the ConfigMap the API server: the bundle of
	// the operator's authority, old and new while it rotates.
	FileCA = "ca.crt"
)

// Object returns an empty APIService. It is read without its Go type: that is in
// k8s.io/kube-aggregator, a module with a server in it, and three fields of it are
// all that matters here.
func Object() *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"})
	u.SetName(Name)
	return u
}
