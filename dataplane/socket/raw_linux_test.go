// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package socket_test

import (
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/socket"
)

func option(t *testing.T, conn syscall.Conn, level, name int) (value int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { value, failed = unix.GetsockoptInt(int(fd), level, name) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return value
}

// Lost peers are found by pings, or not at all where nobody wants that.
func TestWhatIsGivenToPackageNetHasNoKeepalive(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	fd, err := socket.Connect(netip.MustParseAddrPort(l.Addr().String()), false)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := socket.Conn(fd, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if option(t, conn.(*net.TCPConn), unix.SOL_SOCKET, unix.SO_KEEPALIVE) != 0 {
		t.Error("the kernel's keepalive is on")
	}
	if option(t, conn.(*net.TCPConn), unix.IPPROTO_TCP, unix.TCP_NODELAY) == 0 {
		t.Error("Nagle's algorithm is on")
	}
}

func TestConnectSetsReuseAddrAsWanted(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Log(err) // A machine without IPv6.
			continue
		}
		defer func() { _ = l.Close() }()
		for _, want := range []bool{true, false} {
			fd, err := socket.Connect(netip.MustParseAddrPort(l.Addr().String()), want)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := socket.Conn(fd, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if got := reuseAddr(t, conn.(*net.TCPConn)); got != want {
				t.Errorf("%s: SO_REUSEADDR %v, want %v", address, got, want)
			}
		}
	}
}

// A socket that is bound to a port and connected to it finds itself there.
func TestASocketThatIsConnectedToItselfIsKnown(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Log(err) // A machine without IPv6.
			continue
		}
		to := netip.MustParseAddrPort(l.Addr().String())
		fd, err := socket.Connect(to, true)
		if err != nil {
			t.Fatal(err)
		}
		if socket.IsItsOwnPeer(fd, to) {
			t.Errorf("%v: somebody listens there", to)
		}
		_, _ = unix.Close(fd), l.Close()

		dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(to), Control: socket.ReuseAddr(true)}
		conn, err := dialer.DialContext(t.Context(), "tcp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) {
			if !socket.IsItsOwnPeer(int(fd), to) {
				t.Errorf("%v: %v is connected to %v", to, conn.LocalAddr(), conn.RemoteAddr())
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}
