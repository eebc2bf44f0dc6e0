// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connections is the REST storage of WebSocketConnections and of
// ClosedWebSocketConnections: what is stored nowhere is asked of the data-plane pods,
// and what is deleted is disconnected there.
//
// It returns only errors of k8s.io/apimachinery/pkg/api/errors. It must not know
// how pods are found or reached.
package connections
