// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"fmt"
	"os"
	"syscall"
)

// ReuseAddr returns a function for the Control field of net.ListenConfig and
// net.Dialer that sets SO_REUSEADDR to on before the socket is bound or
// connected. Go by itself switches the option on for TCP listeners and leaves it
// off for sockets that connect, so both values have to be written.
func ReuseAddr(on bool) func(network, address string, conn syscall.RawConn) error {
	value := 0
	if on {
		value = 1
	}
	return func(_, _ string, conn syscall.RawConn) error {
		var option error
		err := conn.Control(func(fd uintptr) {
			option = syscall.SetsockoptInt(handle(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, value)
		})
		if err != nil {
			return fmt.Errorf("set SO_REUSEADDR: %w", err)
		}
		return os.NewSyscallError("setsockopt SO_REUSEADDR", option)
	}
}
