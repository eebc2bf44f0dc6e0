// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire knows how a WebSocket frame looks in bytes (RFC 6455 section 5)
// and which close codes may stand in one (section 7.4). It does no I/O, keeps no
// state and does not know what a connection is.
package wire
