// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package socket_test

import (
	"net"
	"syscall"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/socket"
)

// reuseAddr reads the option back.
func reuseAddr(t *testing.T, conn syscall.Conn) bool {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var value int
	var option error
	if err := raw.Control(func(fd uintptr) {
		value, option = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR)
	}); err != nil || option != nil {
		t.Fatal(err, option)
	}
	return value != 0
}

func TestReuseAddrIsSetOnListenersAndDialers(t *testing.T) {
	for _, want := range []bool{true, false} {
		lc := net.ListenConfig{Control: socket.ReuseAddr(want)}
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		if got := reuseAddr(t, l.(*net.TCPListener)); got != want {
			t.Errorf("a listener has SO_REUSEADDR %v, want %v", got, want)
		}
		dialer := net.Dialer{Control: socket.ReuseAddr(want)}
		conn, err := dialer.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if got := reuseAddr(t, conn.(*net.TCPConn)); got != want {
			t.Errorf("a connection has SO_REUSEADDR %v, want %v", got, want)
		}
	}
}
