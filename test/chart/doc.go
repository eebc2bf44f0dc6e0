// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chart tests the Helm chart: that it says the same as config/, that it
// refuses values it does not know, and what a real API server holds after
// install, upgrade and uninstall. It knows nothing of what the programs do.
//
// kubectl, etcd and kube-apiserver are taken from the directory that
// KUBEBUILDER_ASSETS names (`hack/cluster assets` prints one), Helm is built by
// hack/helm at its first use. Nothing runs in the cluster of these tests: there is
// no controller and no node.
package chart
