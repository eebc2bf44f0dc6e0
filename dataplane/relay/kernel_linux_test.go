// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
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
	otherEnd(t, conn, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCINQ) }) // It may be closed by now.
	return n
}

// littleOnTheWay has the kernel keep little of what is sent to a socket that is to be
// connected: filling megabytes with small frames takes its time. The sender's buffer
// grows with the size of a segment, which on loopback is 64 KiB.
func littleOnTheWay(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = errors.Join(
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<10),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 1400),
		)
	})
	return errors.Join(err, failed)
}

// leastReceiveBuffer has a socket that is to be connected take as little as possible.
func leastReceiveBuffer(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1) })
	return errors.Join(err, failed)
}

// leastSendBuffer has the other end of a connection keep as little as possible. It is
// false where there is none.
func leastSendBuffer(t *testing.T, conn net.Conn) (there bool) {
	t.Helper()
	otherEnd(t, conn, func(fd int) { there = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1) == nil })
	return there
}

// otherEnd calls f with the other end of a connection, in this process.
func otherEnd(t *testing.T, conn net.Conn, f func(fd int)) {
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
			f(fd)
		}
	}
}
