// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package relay runs proxied connections: it answers clients, has their upstream
// dialed, and has one core per connection driven with sockets and a clock.
//
// What a connection does is decided in relay/core; what its handshakes say in
// handshake and upstream. This package knows how bytes get from a socket into the
// core and back, how settings and commands reach a live connection, and how a
// process ends its connections. It knows nothing of Kubernetes.
//
// What all connections share is here: who a connection is (conn.go), what is said
// of it (describe.go, report.go), how it gets its upstreams (handshake.go,
// reconnect.go), how all of them end (drain.go). On Linux door_linux.go accepts
// clients, and arrival_linux.go gets those with plain handshakes their upstream
// without a goroutine; door.go says what becomes of the others. What moves its bytes is a driver:
// relay/driver is the seam, relay/loop and relay/pump are the two that there are,
// and drivers.go is where one is chosen.
package relay
