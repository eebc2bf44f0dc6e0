// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is the contract of the aggregated API: each live
// connection of each WebSocketProxy as an object of the group
// connections.wsproxy.io, and each that has ended of late. The objects are stored
// nowhere; they are what the data-plane pods say when they are asked.
//
// The group is another one than that of the custom resources, because an
// APIService claims a whole group-version.
//
// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.wsproxy.connections.v1alpha1
// +groupName=connections.wsproxy.io
package v1alpha1
