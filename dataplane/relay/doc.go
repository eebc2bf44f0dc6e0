// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package relay runs proxied connections: it answers clients, has their upstream
// dialed, and drives one core per connection with sockets, a clock and
// goroutines.
//
// What a connection does is decided in relay/core; what its handshakes say in
// handshake and upstream. This package knows how bytes get from a socket into the
// core and back, how settings and commands reach a live connection, and how a
// process ends its connections. It knows nothing of Kubernetes.
//
// One driver, two goroutines a connection: pump(Client) reads the client and is
// the only one to write to the upstream, pump(Upstream) the other way round. They
// share the core under the connection's lock, which is never held while a socket
// is read or written.
package relay
