// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command dataplane relays the WebSocket connections of one proxy: in a pod that
// the operator made, or anywhere else from the manifest of a WebSocketProxy with
// upstream.url.
//
//	dataplane --config proxy.yaml
package main
