// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package peers knows the proxies that are compared: how each is configured,
// started and known to be ready. Their configurations are in configs/, and what
// was tuned is said there.
//
// It knows nothing of what is measured.
package peers
