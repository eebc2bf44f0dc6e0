// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers tests the operator against a real etcd and kube-apiserver,
// and data-plane pods that are real gRPC servers with the certificates that the
// operator gave them. There is no kubelet and no other controller: the tests say
// what pods and Deployments report.
package controllers
