// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of connections.
const Group = "connections.wsproxy.io"

// GroupVersion is the group and the version of every type of this package.
var GroupVersion = schema.GroupVersion{Group: Group, Version: "v1alpha1"}

// Resource returns the group and resource of a resource of this package.
func Resource(resource string) schema.GroupResource {
	return schema.GroupResource{Group: Group, Resource: resource}
}

// AddToScheme registers the types of this package with a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&WebSocketConnection{}, &WebSocketConnectionList{}, &WebSocketDisconnect{}, &WebSocketSend{},
		&ClosedWebSocketConnection{}, &ClosedWebSocketConnectionList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
