// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fleet knows which data-plane pods there are and asks them about their
// connections: the one that a connection's name leads to, or many at a time.
//
// It speaks the protocol of api/dataplane and watches pods. It must not know how
// connections look in the aggregated API, nor who asks and why.
package fleet
