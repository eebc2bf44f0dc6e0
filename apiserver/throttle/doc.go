// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package throttle bounds how many changes each user makes, so that one who
// floods the API disturbs nobody else. It knows users by a text and must not
// know what the changes are.
package throttle
