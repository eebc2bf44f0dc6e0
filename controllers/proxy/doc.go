// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package proxy reconciles WebSocketProxies: from a proxy and its class to
// objects, from its configuration to its pods, and from what is observed to its
// status.
//
// A reconciliation is a list of phases that record what they find in a work, and
// one status that is computed from it at the end. Phases never write status. How
// objects look, how pods are reached and how certificates are made is the
// business of other packages.
package proxy
