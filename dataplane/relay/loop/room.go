// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// surely returns how many bytes a socket will surely take.
func (w *worker) surely(leg *leg) int {
	if leg.fd == none || w.now < w.humbleUntil {
		return 0
	}
	if leg.room >= bufferBytes {
		return int(leg.room) // There was so much, and what was written since is taken off.
	}
	if !leg.greedy {
		// net.ipv4.tcp_notsent_lowat would make it take less than it has room for.
		leg.greedy = true
		_ = unix.SetsockoptInt(int(leg.fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, -1) // Where it fails, misjudged sees to it.
	}
	leg.room = int32(w.room(int(leg.fd)))
	return int(leg.room)
}

// humility is how long a worker that misjudged a socket reads no more than a
// connection may keep.
const humility = time.Second

// misjudged is called when a socket took so little that more has to be kept than a
// connection is to keep. Nothing is lost, but the bound of memory is not held: the
// kernel is short of memory for TCP, and does not become less so at once.
func (w *worker) misjudged(now core.Instant) { w.humbleUntil = now.Add(humility) }

// starvedRetry is when a socket is written to again for which the kernel had no
// memory.
const starvedRetry = 100 * time.Millisecond

// starve is called when a socket took nothing. It says when there is room again, by
// its peer's acknowledgements; where none are to come, it was not full, but the
// kernel had no memory for it (tcp_mem of tcp(7)), and says nothing.
func (k *Conn) starve(leg *leg) {
	if w := k.worker; w.unacked(int(leg.fd)) == 0 {
		leg.starved = true
		w.timers.set(k, w.now.Add(starvedRetry))
	}
}

// fed has sockets written to again for which there was no memory.
func (k *Conn) fed() {
	for side := range k.legs {
		if leg := &k.legs[side]; leg.starved {
			leg.starved, leg.blocked = false, false
		}
	}
}

// room asks the kernel how much memory a socket's send buffer has left. Half of
// that is payload at least: what the kernel adds to a segment is less than the
// segment, but for tiny ones.
func room(fd int) int {
	// The indices of SO_MEMINFO, from linux/sock_diag.h.
	const (
		sendBuffer = 3
		queued     = 5
		count      = 9
	)
	var info [count]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0) // #nosec G103 -- golang.org/x/sys has no function for it.
	if errno != 0 || info[queued] >= info[sendBuffer] {
		return 0
	}
	return int(info[sendBuffer]-info[queued]) / 2
}
