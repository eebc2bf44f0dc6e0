// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import "time"

// Side is one of the two legs of a connection.
type Side uint8

// The two legs.
const (
	Client Side = iota
	Upstream
)

// Other returns the opposite leg.
func (s Side) Other() Side { return s ^ 1 }

func (s Side) String() string {
	if s == Client {
		return "client"
	}
	return "upstream"
}

// Instant is a moment on the driver's monotonic clock, in nanoseconds. The zero
// Instant is "never".
type Instant int64

// Add returns the moment d after t.
func (t Instant) Add(d time.Duration) Instant { return t + Instant(d) }

// Sub returns the time from u to t.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// Phase is where a connection stands, once its client has been answered.
type Phase uint8

// The phases.
const (
	// Open: both legs are up.
	Open Phase = iota
	// Reconnecting: the upstream is lost and the client is held.
	Reconnecting
	// Closing: the close handshake is under way, or waits for the end of a frame.
	Closing
	// Done: nothing more will happen; Effects say what to do with the sockets.
	Done
)
