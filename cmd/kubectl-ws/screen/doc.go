// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package screen shows a text that changes: on a terminal in place, clipped to its size,
// and anywhere else one below the other, without a single escape sequence. It knows
// nothing of what the text says.
package screen
