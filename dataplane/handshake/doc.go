// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package handshake turns the opening handshake of a client (RFC 6455 section
// 4) into the one for its upstream, and the upstream's answer into the client's:
// which requests are refused and how, who the client is, which headers pass,
// what was agreed on, and whether a connection can be moved to a new upstream.
//
// plain.go reads the heads that nearly all handshakes have; for all others there is
// net/http.
//
// It does no I/O of its own and knows neither sockets nor endpoints nor frames:
// it maps values to values and bytes, and all of it can be tested as tables.
package handshake
