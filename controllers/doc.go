// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers puts the operator together: the cache and what is in it,
// the certificate authority, the pusher and the reconciler of WebSocketProxies.
package controllers
