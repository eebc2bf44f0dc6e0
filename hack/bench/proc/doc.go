// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package proc starts programs and says what they cost: CPU time in nanoseconds,
// memory by proportional set size, both of all their processes, and what the rest
// of the machine does meanwhile.
//
// It reads Linux's /proc and knows nothing about proxies.
package proc
