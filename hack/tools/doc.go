// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tools pins the generators in a module of its own, so that their
// dependencies are not the product's. Run one with
//
//	go tool -modfile=hack/tools/go.mod controller-gen
package tools
