// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stats judges few noisy measurements: medians, and intervals that hold
// the true value with a stated probability.
//
// It must not know what was measured.
package stats
