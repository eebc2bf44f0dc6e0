// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package results is the vocabulary of what was measured: rows of the table,
// samples, and what they say about a row and a peer.
package results
