// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Sockets that Go's own poller does not know, for those who have one themselves.
// They are as package net makes them: not blocking, closed on exec, and without
// Nagle's algorithm.

// Accept accepts from a listener's descriptor, and says who it was. It returns
// unix.EAGAIN where nobody has come.
func Accept(listener int) (fd int, from netip.AddrPort, err error) {
	for {
		fd, address, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
			continue // The second is of one who has left already.
		case err != nil:
			return -1, netip.AddrPort{}, err
		}
		noDelay(fd)
		return fd, addrPort(address), nil
	}
}

// Connect begins to connect to an address, with SO_REUSEADDR as wanted. Writing
// fails with unix.EAGAIN until it is connected, and then with what went wrong.
func Connect(to netip.AddrPort, reuseAddr bool) (fd int, err error) {
	family := unix.AF_INET6
	var address unix.Sockaddr = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	if to.Addr().Is4() {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if reuseAddr { // The kernel's default is off.
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			_ = unix.Close(fd) // The error that counts is err.
			return -1, os.NewSyscallError("setsockopt SO_REUSEADDR", err)
		}
	}
	noDelay(fd)
	if err := unix.Connect(fd, address); err != nil && !errors.Is(err, unix.EINPROGRESS) && !errors.Is(err, unix.EINTR) {
		_ = unix.Close(fd)
		return -1, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

// noDelay switches Nagle's algorithm off. Where it fails the socket is broken, and
// who reads from it finds out.
func noDelay(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

// Conn makes a descriptor a net.Conn of package net. The descriptor is closed, also
// where there is an error.
func Conn(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "")
	defer file.Close() // What is left of it is a duplicate.
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("take over a socket: %w", err)
	}
	return conn, nil
}

func addrPort(address unix.Sockaddr) netip.AddrPort {
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)) // #nosec G115 -- a port.
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)) // #nosec G115 -- as above.
	default:
		return netip.AddrPort{}
	}
}
