// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wss holds clients over TLS. They are in Go, on crypto/tls and
// gorilla/websocket, and cost more than those of package native: enough for what
// a proxy's CPU is divided by, not for latencies.
package wss
