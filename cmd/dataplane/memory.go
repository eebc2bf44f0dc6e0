// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strconv"
	"strings"
)

// mostReconnectMemory is what may be kept for reconnects where nothing else is
// said: the handshakes of 400,000 connections at 600 bytes, or as much as 4,000
// clients may say in the 64 KiB that each has while it is held. What is not used
// costs nothing.
const mostReconnectMemory = 256 << 20

// cgroupMemoryLimit is where a container finds its memory limit (cgroup v2).
const cgroupMemoryLimit = "/sys/fs/cgroup/memory.max"

// defaultReconnectMemory is what may be kept for reconnects, in bytes. A process
// that hits its memory limit is killed with all its connections, so no more than a
// quarter of the limit in the file is spent on this.
func defaultReconnectMemory(file string) int64 {
	text, err := os.ReadFile(file) // #nosec G304 -- the kernel's, or a test's.
	if err != nil {
		return mostReconnectMemory // This is no container, or one of cgroup v1.
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return mostReconnectMemory // "max": there is no limit.
	}
	return min(mostReconnectMemory, limit/4)
}
