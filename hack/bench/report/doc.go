// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report says what was measured, and whether the targets are met: a text
// for the terminal, the same in markdown, and plots.
package report
