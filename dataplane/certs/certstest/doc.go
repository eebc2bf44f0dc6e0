// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certstest makes certificates for tests. Nothing but tests may import
// it.
package certstest
