// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pump is the driver that works for every socket: two goroutines a
// connection. pump(Client) reads the client and is the only one to write to the
// upstream, pump(Upstream) the other way round. They share the core under the
// connection's lock, which is never held while a socket is read or written.
//
// It knows nothing of handshakes, of how an upstream is found or of what is said
// of a connection.
package pump
