// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics holds the alerts and the dashboard of the chart against the metrics
// that the programs publish, and tests each alert with promtool. That the programs
// publish them where they really run is tested in test/e2e.
package metrics
