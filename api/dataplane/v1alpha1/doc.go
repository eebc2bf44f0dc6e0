// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dataplanev1alpha1 is the contract between the control plane and the
// data plane: the protocol (dataplane.proto and what is generated from it), the
// snapshot that a WebSocketProxy becomes, and what the two agree on about a pod:
// ports, mounted files and the names in certificates.
package dataplanev1alpha1
