// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package config holds what is in force in one data-plane process: it reads a
// manifest or a snapshot, refuses what is unusable and names the field, compiles
// the rest once, and swaps it in atomically. What was accepted outlives the
// container in the state directory.
//
// It knows neither connections nor the protocol that pushes snapshots: whoever
// has to act on a change subscribes to the Store.
package config
