// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registry says what is connected to one data-plane process: it names
// connections, finds them by name, lists them in the order of their names, keeps
// the recent changes of their lives in the order of their stamps, remembers how those
// of the last minutes ended, and counts places against the limits.
//
// It does not know how a connection works: an entry is anything that can
// describe itself and be told to end.
package registry
