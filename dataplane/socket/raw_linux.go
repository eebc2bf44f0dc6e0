// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sockets that Go's own poller does not know, for those who have one themselves.
// They are as package net makes them: not blocking, closed on exec, and without
// Nagle's algorithm.
//
// None of the system calls here ever waits, but on the loopback they do the other
// side's work, too. Go's scheduler is therefore not told of them (RawSyscall): it
// would take the processor away in the middle.

// Accept accepts from a listener's descriptor, and says who it was. It returns
// unix.EAGAIN where nobody has come.
func Accept(listener int) (fd int, from netip.AddrPort, err error) {
	for {
		var address unix.RawSockaddrAny
		size := uint32(unsafe.Sizeof(address))
		n, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&address)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0) // #nosec G103 -- see above.
		switch errno {
		case 0:
			noDelay(int(n))
			return int(n), addrPort(&address), nil
		case unix.EINTR, unix.ECONNABORTED: // The second is of one who has left already.
		default:
			return -1, netip.AddrPort{}, errno
		}
	}
}

// Connect begins to connect to an address, with SO_REUSEADDR as wanted. Writing
// fails with unix.EAGAIN until it is connected, and then with what went wrong. See
// IsItsOwnPeer.
func Connect(to netip.AddrPort, reuseAddr bool) (fd int, err error) {
	family := unix.AF_INET6
	if to.Addr().Is4() {
		family = unix.AF_INET
	}
	n, _, errno := unix.RawSyscall(unix.SYS_SOCKET, uintptr(family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return -1, os.NewSyscallError("socket", errno)
	}
	fd = int(n)
	if reuseAddr { // The kernel's default is off.
		if errno := set(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); errno != 0 {
			_ = unix.Close(fd) // The error that counts is errno.
			return -1, os.NewSyscallError("setsockopt SO_REUSEADDR", errno)
		}
	}
	noDelay(fd)
	switch errno := connect(fd, to); errno {
	case 0, unix.EINPROGRESS, unix.EINTR:
		return fd, nil
	default:
		_ = unix.Close(fd) // As above.
		return -1, os.NewSyscallError("connect", errno)
	}
}

// IsItsOwnPeer says whether a socket that was connected to an address is connected to
// itself (simultaneous open, RFC 9293 section 3.5): where nobody listens at a port of
// this machine, the kernel may pick that very one for our end. It reads what it
// writes, so it is enough to ask when that makes no sense. Package net asks always.
func IsItsOwnPeer(fd int, to netip.AddrPort) bool {
	local, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	switch local := local.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(local.Addr) == to.Addr() && local.Port == int(to.Port())
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(local.Addr) == to.Addr() && local.Port == int(to.Port())
	default:
		return false
	}
}

func connect(fd int, to netip.AddrPort) unix.Errno {
	var address unsafe.Pointer
	var size uintptr
	if to.Addr().Is4() {
		a := &unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swapped(to.Port()), Addr: to.Addr().As4()}
		address, size = unsafe.Pointer(a), unsafe.Sizeof(*a) // #nosec G103 -- what the kernel wants.
	} else {
		a := &unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: swapped(to.Port()), Addr: to.Addr().As16()}
		address, size = unsafe.Pointer(a), unsafe.Sizeof(*a) // #nosec G103 -- as above.
	}
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(address), size)
	return errno
}

// noDelay switches Nagle's algorithm off. Where it fails the socket is broken, and
// who reads from it finds out.
func noDelay(fd int) { _ = set(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

func set(fd, level, option int, value int32) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value), 0) // #nosec G103 -- see above.
	return errno
}

// Spare is a descriptor that is kept for when there is no other one. Its zero value
// has none yet. It is for one goroutine.
type Spare struct{ file *os.File }

// Keep makes sure that there is one, if that is possible.
func (s *Spare) Keep() {
	if s.file == nil {
		s.file, _ = os.Open(os.DevNull) // Where there is no other one, there is none to keep.
	}
}

// Close gives it up.
func (s *Spare) Close() {
	if s != nil && s.file != nil {
		_ = s.file.Close() // Nothing is lost with it.
		s.file = nil
	}
}

// Conn makes a descriptor a net.Conn of package net, which needs a second one for a
// moment: the spare, unless that is nil, where there is no other. The descriptor is
// closed, also where there is an error, because no other one is left; farewell is what
// its peer is told then.
//
// Package net switches the kernel's keepalive on for what it is given; here nobody
// wants it.
func Conn(fd int, spare *Spare, farewell []byte) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "")
	defer file.Close() // What is left of it is a duplicate.
	conn, err := net.FileConn(file)
	if err != nil {
		spare.Close()
		conn, err = net.FileConn(file)
	}
	if err != nil {
		_, _ = unix.Write(fd, farewell) // It does not wait, and who has left needs nothing.
		return nil, fmt.Errorf("take over a socket: %w", err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetKeepAlive(false) // Where it fails the socket is broken, and its reader finds out.
	}
	return conn, nil
}

func addrPort(address *unix.RawSockaddrAny) netip.AddrPort {
	switch address.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(address)) // #nosec G103 -- the family says that it is one.
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), swapped(a.Port))
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(address)) // #nosec G103 -- as above.
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), swapped(a.Port))
	default:
		return netip.AddrPort{}
	}
}

// swapped turns a port from the order of the machine to that of the network, or
// back.
func swapped(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}
