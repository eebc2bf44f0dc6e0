// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inventory knows which metrics the three programs publish, by making all of
// them, and which words they use, by reading the constants of the code.
//
// It knows nothing of how they are shown.
package inventory
