// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version says which version of wsproxy a program is, for all commands in
// the same words. It knows no room, and nothing but the standard library.
package version
