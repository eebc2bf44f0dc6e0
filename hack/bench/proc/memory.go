// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"fmt"
	"os"
)

// PSSOf returns the proportional set size of a process in bytes.
func PSSOf(pid int) (int64, error) {
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	return parseField(rollup, "Pss")
}

// PID is that of the first process.
func (g *Group) PID() int { return g.cmd.Process.Pid }

// ResetPeak begins to look for the peak of the first process anew.
func (g *Group) ResetPeak() error {
	// 5 resets VmHWM, see proc(5).
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", g.PID()), []byte("5\n"), 0)
}

// Peak returns the most bytes that the first process has had resident, since ResetPeak
// if that was called.
func (g *Group) Peak() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.PID()))
	if err != nil {
		return 0, err
	}
	return parseField(status, "VmHWM")
}
