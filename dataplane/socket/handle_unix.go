// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package socket

// handle is a descriptor as package syscall wants it.
func handle(fd uintptr) int { return int(fd) }
