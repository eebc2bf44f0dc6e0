// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiserver is the aggregated API server: connections.wsproxy.io behind
// the authentication, authorization, audit and discovery of
// k8s.io/apiserver, without etcd and without admission.
//
// It stores nothing; what it says it asks of the data-plane pods. Any number of
// replicas run beside each other and know nothing of each other.
package apiserver
