// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"net"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// limitFiles bounds the descriptors of this process.
func limitFiles(n uint64) error {
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n})
}

// unread returns how many bytes have come to the other end of a connection, in this
// process, and were not read.
func unread(t *testing.T, conn net.Conn) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		peer, err := unix.Getpeername(fd) // Most are no sockets.
		if from, ok := peer.(*unix.SockaddrInet4); err == nil && ok && from.Port == conn.LocalAddr().(*net.TCPAddr).Port {
			n, _ = unix.IoctlGetInt(fd, unix.SIOCINQ) // It may be closed by now.
		}
	}
	return n
}
