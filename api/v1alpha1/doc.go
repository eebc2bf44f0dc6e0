// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is the contract between the people who declare WebSocket
// proxies and the programs that run them: the types WebSocketProxy and
// WebSocketProxyClass of the group wsproxy.io, what is built in, how a setting
// is inherited, and which manifests are refused.
//
// The package knows no client and does no I/O: the operator, the data plane
// without Kubernetes and the tests all use the same functions.
//
// +kubebuilder:object:generate=true
// +groupName=wsproxy.io
package v1alpha1
