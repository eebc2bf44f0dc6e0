// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package upstream

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/config"
)

func TestReuseAddrIsSetOnTheSocket(t *testing.T) {
	address := answering(t, always(switching), untilClosed)
	for name, cfg := range map[string]*config.Config{"endpoint": at(address), "url": atURL(t, "ws://"+address)} {
		dialer := NewDialer("")
		var sockets []net.Conn
		for _, on := range []bool{true, false, true} {
			cfg.ReuseAddr = on
			sockets = append(sockets, mustDial(t, dialer, cfg, clientHead(t, at(), "")).Conn)
		}
		// Each has what was in force when it was made.
		for i, want := range []bool{true, false, true} {
			if got := reuseAddrOf(t, sockets[i]); got != want {
				t.Errorf("%s: SO_REUSEADDR of socket %d is %v with reuseAddr %v", name, i, got, want)
			}
		}
	}
}

func reuseAddrOf(t *testing.T, conn net.Conn) bool {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var value int
	var option error
	err = raw.Control(func(fd uintptr) {
		value, option = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR)
	})
	if err := errors.Join(err, option); err != nil {
		t.Fatal(err)
	}
	return value != 0
}
