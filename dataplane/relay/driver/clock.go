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

// Wall is the time of day of an Instant.
func Wall(t core.Instant) time.Time { return started.Add(time.Duration(t)) }
