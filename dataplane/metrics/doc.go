// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics holds the Prometheus metrics of a data-plane process. Their
// names and labels are part of what users rely on.
//
// It knows nothing of connections: traffic is reported to it when a connection
// closes and before a scrape, because a counter that all connections share would
// make every message wait for a cache line.
package metrics
