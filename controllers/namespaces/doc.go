// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package namespaces lets a namespace that is being deleted go as soon as its
// data-plane pods have drained.
//
// Kubernetes deletes the pods of such a namespace first and waits until they are
// gone, and it does not wait by watching them: it looks again five seconds after
// each change of the Namespace, after half of the longest grace period of the pods,
// which for ours is half an hour, and every five minutes. Until then an empty
// namespace is Terminating, and kubectl delete does not return. So a condition of
// the Namespace says when the pods are about to be gone and when they are, and
// with this change Kubernetes looks.
//
// The package knows of proxies only in which namespaces there are some, and leaves
// a namespace that is not being deleted alone.
package namespaces
