// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dependencies holds docs/dependencies.md equal to the go.mod files of the
// project. There is nothing in it but a test.
package dependencies
