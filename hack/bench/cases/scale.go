// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import "time"

// Scale is how large and how long everything is.
type Scale struct {
	// Window is how long CPU is counted, after Warmup under the same load.
	Window, Warmup time.Duration
	// Idle, Stalled, Silent and TLS are numbers of connections: for their memory,
	// for that of readers that have stalled, for the CPU of keepalive, and for
	// memory with TLS.
	Idle, Stalled, Silent, TLS int
	// SilentWindow is how long silent connections are watched. Pings come after half
	// of connectionLostTimeout, which is 60 seconds.
	SilentWindow time.Duration
	// Settle is how long a peer has at most until its memory is read, and Emptied
	// how long it has once all connections are closed.
	Settle, Emptied time.Duration
	// Rate is how many messages a second are sent where latencies are measured.
	Rate int
}

// Default is the scale of the targets.
func Default() Scale {
	return Scale{
		Window: time.Second, Warmup: 300 * time.Millisecond,
		Idle: 9500, Stalled: 500, Silent: 8000, TLS: 2000, SilentWindow: time.Minute,
		Settle: 3 * time.Second, Emptied: 8 * time.Second, Rate: 5000,
	}
}

// Quick shows that everything works, and little more.
func Quick() Scale {
	return Scale{
		Window: 400 * time.Millisecond, Warmup: 100 * time.Millisecond,
		Idle: 1000, Stalled: 100, Silent: 1000, TLS: 200, SilentWindow: 35 * time.Second,
		Settle: time.Second, Emptied: 2 * time.Second, Rate: 2000,
	}
}

const (
	// parallel is how many handshakes are under way at a time: enough to keep two
	// cores busy, far from any queue's length.
	parallel = 32
	// floods is the number of connections that flood at once.
	floods = 8
	// descriptors is what a process may have open.
	descriptors = 20000
)

// Most is how many connections a peer must be able to hold: each takes two
// descriptors, and some are left for listeners, pipes and files.
const Most = descriptors/2 - 300
