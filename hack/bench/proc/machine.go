// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"os"
	"time"
)

// Busy returns how long all cores of the machine together were not idle since it
// started, in steps of 10 ms.
func Busy() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseBusy(stat)
}

// KernelMemory returns the bytes of the kernel's own objects, sockets and open
// files among them, of the whole machine.
func KernelMemory() (int64, error) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return parseField(info, "Slab")
}
