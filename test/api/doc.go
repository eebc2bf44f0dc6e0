// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package api tests the custom resources against a real etcd and a real
// kube-apiserver: what they refuse and accept, what they store, and what kubectl
// shows of them. It knows the CRDs and the types of api/v1alpha1, and neither the
// operator nor the data plane.
//
// The binaries are taken from the directory that KUBEBUILDER_ASSETS names;
// without it the tests fail. `hack/cluster assets` prints such a directory.
package api
