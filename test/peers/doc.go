// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package peers holds tests of the data plane between WebSocket implementations
// of others: Chromium, Python's websockets, npm's ws, libwebsockets and gorilla,
// as clients and as servers. The program under test is bin/dataplane with a
// manifest, as anyone would run it; the peers are programs of their own, and all
// of them talk on the loopback of a network namespace that has nothing else.
//
// The tests have the tag peers and are run by test/peers/run, which installs what
// they need (`make test-peers`).
package peers
