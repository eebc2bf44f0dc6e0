// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package references reads the Secrets that a spec names and judges whether they
// are usable. It holds copies of those only: of all other Secrets of the cluster
// the operator sees the metadata.
package references
