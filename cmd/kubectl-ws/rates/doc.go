// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rates makes rates out of counters that are looked at again and again. It
// knows neither connections nor clocks.
package rates
