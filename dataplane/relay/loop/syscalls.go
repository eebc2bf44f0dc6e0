// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of the path that every message takes. They never wait, so Go's
// scheduler is not told of them (RawSyscall): on a busy machine it would take the
// processor away in the middle of them, which cost more than all else that is done
// here. And they are recvfrom and sendto, because for read and write the kernel
// locks the file's position, which sockets do not have.

// recv reads once. It returns unix.EAGAIN where nothing has come.
func recv(fd int32, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0) // #nosec G103 -- golang.org/x/sys has it only with an address.
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// send writes once, what the socket takes. It returns unix.EAGAIN where that is
// nothing.
func send(fd int32, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0) // #nosec G103 -- as above.
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// harvest asks epoll for events and does not wait. It returns how many there are.
func harvest(epoll int, events []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0) // #nosec G103 -- golang.org/x/sys has it only with a wait.
	if errno != 0 {
		return 0 // Interrupted: it is asked again.
	}
	return int(n)
}

// discard reads what has come without copying it anywhere (MSG_TRUNC of tcp(7)).
func discard(fd int32) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), 0, 1<<30, unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// ended says whether the next that is to be read is the end, or an error.
func ended(fd int32) bool {
	for {
		var b [1]byte
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0) // #nosec G103 -- as above.
		if errno != unix.EINTR {
			return errno != unix.EAGAIN && (errno != 0 || n == 0)
		}
	}
}

// maxPieces is the kernel's bound for the pieces of one write (IOV_MAX).
const maxPieces = 1024

// sendAll writes a batch once. It returns what the socket took; where that is not
// all, and the error is nil or unix.EAGAIN, it takes no more for now.
func sendAll(fd int32, batch [][]byte) (n int, err error) {
	if len(batch) == 1 {
		return send(fd, batch[0]) // #nosec G602 -- one there is.
	}
	for len(batch) > 0 {
		pieces, size := batch[:min(len(batch), maxPieces)], 0
		for _, b := range pieces {
			size += len(b)
		}
		m, err := unix.Writev(int(fd), pieces)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		n += max(m, 0)
		if m < size {
			return n, err
		}
		batch = batch[len(pieces):]
	}
	return n, nil
}

// closeSocket closes a descriptor. What it was told to send is sent all the same,
// and nothing is to be known of it any more. SO_LINGER is never set to a time, so
// this does not wait either.
func closeSocket(fd int32) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// endOutput sends the end of what is written. It is false where there is nobody to
// send it to.
func endOutput(fd int32) bool {
	_, _, errno := unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
	return errno == 0
}

// epollCtl tells epoll of a socket.
func epollCtl(epoll, op, fd int, event *unix.EpollEvent) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(event)), 0, 0) // #nosec G103 -- as above.
	if errno != 0 {
		return errno
	}
	return nil
}
