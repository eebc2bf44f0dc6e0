// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package upstream gets a connection its upstream: it picks an endpoint, dials
// it, speaks the opening handshake and tries again where that may help. What
// comes out is an open WebSocket of which no frame has been read.
//
// It knows nothing of clients' sockets, frames or the registry, and keeps
// nothing of a connection but the count of the endpoint that it lives on.
package upstream
