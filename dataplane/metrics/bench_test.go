// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/metrics"
)

// BenchmarkConnection is what the durations of one connection cost, its life long:
// handshake, attempt and end.
func BenchmarkConnection(b *testing.B) {
	m := newMetrics()
	for i := range b.N {
		took := time.Duration(i%1000) * time.Microsecond
		m.Answered(101, took, "")
		m.Attempted(metrics.ForHandshake, "Accepted", took)
		m.Lasted("ClientClose", took)
	}
}

// BenchmarkRelayed is what one sample of the way through the relay costs, which is
// taken of one turn in 61.
func BenchmarkRelayed(b *testing.B) {
	m := newMetrics()
	for i := range b.N {
		m.Relayed(metrics.FromClient, time.Duration(i%1000)*time.Microsecond)
	}
}
