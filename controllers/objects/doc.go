// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package objects builds the Kubernetes objects that a WebSocketProxy becomes,
// as apply configurations. Its functions are pure: it knows no client, reads no
// clock and never looks at what is in the cluster.
package objects
