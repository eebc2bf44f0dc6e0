// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package driver is the seam between a connection and what moves its bytes: what
// a driver is, what it asks of the connection, and the clock that both go by.
//
// There are two drivers: relay/pump, two goroutines a connection, for everything;
// and relay/loop, an event loop, for connections with TCP and nothing above it on
// both legs, where the kernel is Linux. They differ in how bytes get from a socket
// into the core and back, and when; not in what happens then, which the core
// decides, nor in what is said and kept of a connection, which is relay's.
package driver
