// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package openapi describes the types of the aggregated API for `kubectl
// explain` and for clients that check what they send. All of it is generated
// from the types.
package openapi
