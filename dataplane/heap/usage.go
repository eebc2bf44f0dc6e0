// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package heap

import (
	"runtime/metrics"
	"time"
)

// usage is what the heap takes, in bytes.
type usage struct {
	// live is what the last collection found to be in use, since what was allocated
	// after it, and free what nobody uses and the operating system has not got back.
	live, since, free uint64
	// collecting is the processor time that the collector has taken so far.
	collecting time.Duration
}

// read asks the runtime.
func read() usage {
	const (
		objects = iota
		live
		free
		collecting
	)
	samples := [...]metrics.Sample{
		objects:    {Name: "/memory/classes/heap/objects:bytes"},
		live:       {Name: "/gc/heap/live:bytes"},
		free:       {Name: "/memory/classes/heap/free:bytes"},
		collecting: {Name: "/cpu/classes/gc/total:cpu-seconds"},
	}
	metrics.Read(samples[:])
	u := usage{
		live:       samples[live].Value.Uint64(),
		free:       samples[free].Value.Uint64(),
		collecting: time.Duration(samples[collecting].Value.Float64() * float64(time.Second)),
	}
	if all := samples[objects].Value.Uint64(); all > u.live {
		u.since = all - u.live
	}
	return u
}
