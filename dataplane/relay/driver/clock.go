// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// started is where this process's Instants count from. One nanosecond before, so
// that no Instant is 0, which is "never".
var started = time.Now().Add(-1)

// Now reads the monotonic clock.
func Now() core.Instant { return core.Instant(time.Since(started)) }

// tick is how exact a driver's timers are at best.
const tick = core.Instant(16 * time.Millisecond)

// Coarse returns the moment, at or after next, when a timer that is set now fires:
// up to a tick later, or, where that is more, up to a 64th of the wait. Many that
// come close to each other cost one wake-up then; without that, pings of ours to
// thousands of silent connections would wake the process for each.
func Coarse(now, next core.Instant) core.Instant {
	step := tick
	for step*128 <= next-now {
		step *= 2
	}
	return (next + step - 1) / step * step
}

// Wall is the time of day of an Instant.
func Wall(t core.Instant) time.Time { return started.Add(time.Duration(t)) }
