// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package heap gives the memory of a process back to the operating system when it
// has quieted down.
//
// Go collects garbage when there is as much of it as there is live data, however
// long that takes, and returns memory slowly. A proxy makes garbage with
// handshakes and ends, and hardly any while its connections are idle or talk: so
// after a burst it would keep more than twice of what it needs, for minutes.
//
// It knows nothing of connections: only that something came or went.
package heap
