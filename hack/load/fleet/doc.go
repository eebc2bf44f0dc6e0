// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fleet is many WebSocket clients that talk to an echo and keep their
// own record of what happened to them: what was sent, what came back, what was
// lost, doubled or out of order, and how each connection ended.
//
// Its record is what tests and the demo believe, so it must not know anything of
// the proxy in between but the header in which a connection is named.
package fleet
