// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// started is where this process's Instants count from. One nanosecond before, so
// that no Instant is 0, which is "never".
var started = time.Now().Add(-1)

// now reads the monotonic clock.
func now() core.Instant { return core.Instant(time.Since(started)) }

// wall is the time of day of an Instant.
func wall(t core.Instant) time.Time { return started.Add(time.Duration(t)) }
