// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package driver_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
)

func TestTimersAreNeverEarlyAndNeverLateByMoreThanA64th(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		now := core.Instant(random.Int64N(int64(1000 * time.Hour)))
		wait := time.Duration(random.Int64N(1 << (10 + random.IntN(37))))
		late := driver.Coarse(now, now.Add(wait)).Sub(now.Add(wait))
		if late < 0 || late > max(16*time.Millisecond, wait/64) {
			t.Fatalf("a wait of %v from %v is %v late", wait, now, late)
		}
	}
}

// A thousand moments within 6 seconds, half a minute from now, are 24 wake-ups.
func TestTimersOfManyAreFew(t *testing.T) {
	at := map[core.Instant]bool{}
	for i := range 1000 {
		at[driver.Coarse(0, core.Instant(24*time.Second).Add(time.Duration(i)*6*time.Millisecond))] = true
	}
	if len(at) > 50 {
		t.Errorf("%d wake-ups", len(at))
	}
}
