// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package check tries an installation, as `helm test` does: it makes a
// WebSocketProxy in front of itself, opens a WebSocket through it, finds that in the
// Kubernetes API, ends it there, and removes the proxy. It does what a user does, with
// a user's rights, and knows nothing of the operator that it travels with.
package check
