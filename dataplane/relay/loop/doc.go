// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package loop is the driver for connections with plain TCP on both legs: an event
// loop (epoll) with a few workers. A connection stays with one worker for life,
// with both legs. It has no goroutine, and no buffer but for what a socket did not
// take; a worker has one buffer that all its connections are read into.
//
// loop.go spreads connections over workers, worker.go waits for events and timers,
// conn.go is one connection as driver.Driver, transfer.go moves its bytes, and
// ending.go sees sockets off that are no connection's any more, guest.go has those
// watched that are no connection's yet.
//
// It knows nothing of handshakes, of how an upstream is found or of what is said
// of a connection. Where the kernel is not Linux there is none.
package loop
