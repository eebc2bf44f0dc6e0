// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package client asks a kube-apiserver for connections and proxies. What it returns is
// what the server said, fields that this program does not know included. It needs no
// discovery, so nothing but the right to do what is asked for, and it knows nothing of
// flags, tables of its own, or terminals.
package client
