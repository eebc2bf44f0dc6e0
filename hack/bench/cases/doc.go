// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cases holds what is measured: each case starts a peer with a backend of
// its own, puts it under some load, and says what that cost.
//
// A case does not know how often it runs, nor what its values are compared with.
package cases
