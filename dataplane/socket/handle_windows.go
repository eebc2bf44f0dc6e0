// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package socket

import "syscall"

// handle is a socket as package syscall wants it.
func handle(fd uintptr) syscall.Handle { return syscall.Handle(fd) }
