// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package tcp

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// Info asks the kernel about a connection. The zero Info knows nothing.
type Info struct {
	raw syscall.RawConn
	// plain says that there is no TLS on top.
	plain bool
}

// InfoOf returns what can be asked about a socket, or about the one below TLS.
func InfoOf(sock net.Conn) Info {
	bottom := Below(sock)
	conn, ok := bottom.(syscall.Conn)
	if !ok {
		return Info{}
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return Info{}
	}
	return Info{raw: raw, plain: bottom == sock}
}

// Raw returns access to the descriptor of a socket with no TLS on top, else nil.
func (i Info) Raw() syscall.RawConn {
	if !i.plain {
		return nil
	}
	return i.raw
}

// Peer is what TCP_INFO says of the peer.
func (i Info) Peer() (p core.Peer) {
	i.control(func(fd int) { p = Peer(fd) })
	return p
}

// Unacked is the number of bytes that were written and not acknowledged.
func (i Info) Unacked() (n int) {
	i.control(func(fd int) { n = Unacked(fd) })
	return n
}

// Waiting is the number of bytes that have come and were not read; 0 where TLS is
// on top, because those may be TLS's own.
func (i Info) Waiting() (n int) {
	if i.plain {
		i.control(func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCINQ) })
	}
	return n
}

// control calls f with the descriptor. A socket that is closed is no error worth
// more than that nothing is known of it: its reader finds out.
func (i Info) control(f func(fd int)) {
	if i.raw == nil {
		return
	}
	_ = i.raw.Control(func(fd uintptr) { f(int(fd)) })
}

// Peer is what TCP_INFO says of the peer of a descriptor. TCP_USER_TIMEOUT would
// not do instead: since Linux 5.11 it also ends a connection whose peer does not
// read for so long, though it answers, and though it may be talking all the time.
func Peer(fd int) (p core.Peer) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return core.Peer{}
	}
	p.Acked = info.Bytes_acked
	// One may be on its way; the second says that the first was not answered.
	if info.Probes > 1 || info.Retransmits > 1 {
		p.Unanswered = time.Duration(info.Last_ack_recv) * time.Millisecond
	}
	return p
}

// Unacked is the number of bytes that were written to a descriptor and not
// acknowledged (SIOCOUTQ of tcp(7)).
func Unacked(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
