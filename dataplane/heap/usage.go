// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package heap

import "runtime/metrics"

// usage is what the heap takes, in bytes: live is what the last collection found to
// be in use, since what was allocated after it, and free what nobody uses and the
// operating system has not got back.
type usage struct{ live, since, free uint64 }

// read asks the runtime.
func read() usage {
	const (
		objects = iota
		live
		free
	)
	samples := [...]metrics.Sample{
		objects: {Name: "/memory/classes/heap/objects:bytes"},
		live:    {Name: "/gc/heap/live:bytes"},
		free:    {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples[:])
	u := usage{live: samples[live].Value.Uint64(), free: samples[free].Value.Uint64()}
	if all := samples[objects].Value.Uint64(); all > u.live {
		u.since = all - u.live
	}
	return u
}
