// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// CPUOf returns the user and system time of a process.
func CPUOf(pid int) (time.Duration, error) {
	// The clock of a process: clock_getcpuclockid(3) with CPUCLOCK_SCHED (2), which
	// is the scheduler's own account and not made of ticks.
	const cpuClockSched = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuClockSched), &t); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
