// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

// What the log says of connections and of the process that has them: one line for
// each event, and never one for a message. docs/metrics.md is made from this.
const (
	// The client got its 101. With `upstream` and `subprotocol`.
	eventOpened = "connection opened"
	// The handshake of a client opened no connection. With `reason` and `code`, the words of wsproxy_handshakes_total,
	// `detail`, and what is known of the client. At most one in ten seconds for each reason, unless the level is debug.
	eventNotOpened = "connection not opened"
	// What came of that reason in the meantime: `count` in `seconds`, and the fields of the last one.
	eventMoreNotOpened = "more connections not opened, the last one of them"
	// The upstream was lost, and autoReconnect holds the client. With `upstream`.
	eventHeld = "upstream lost, client held"
	// An attempt to get an upstream back failed. With `attempt` and `error`.
	eventReconnectFailed = "attempt to reconnect failed"
	// A held client has an upstream again. With `upstream`, `reconnects` and `possiblyLost`.
	eventReplaced = "upstream replaced"
	// Somebody asked through the API for the connection to end. With `user`, `code` and `reason`.
	eventDisconnect = "disconnect asked for"
	// The connection ended. With `by` and `cause`, the words of wsproxy_connections_closed_total, `code` and `reason` of the
	// close frame, `closeFrameCutOff`, messages and bytes each way, `reconnects`, `possiblyLost`, `undelivered` and `seconds`.
	eventClosed = "connection closed"
	// The process begins to end its connections. With `connections`.
	eventDrainBegun = "drain begun"
	// All of them have ended.
	eventDrainOver = "drain over"
	// Nobody read the log fast enough. With `lines`.
	eventLinesDropped = "lines of the log were dropped"
)
