// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// tcp is what the kernel knows and does of a leg's TCP connection, below TLS. The
// zero tcp knows nothing.
type tcp struct {
	raw syscall.RawConn
	// plain says that there is no TLS on top, so that raw can be read.
	plain bool
}

func tcpOf(sock net.Conn) tcp {
	bottom := below(sock)
	conn, ok := bottom.(syscall.Conn)
	if !ok {
		return tcp{}
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return tcp{}
	}
	return tcp{raw: raw, plain: bottom == sock}
}

// peer is what TCP_INFO says of the peer. TCP_USER_TIMEOUT would not do instead:
// since Linux 5.11 it also ends a connection whose peer does not read for so long,
// though it answers, and though it may be talking all the time.
func (t tcp) peer() (p core.Peer) {
	t.control(func(fd int) error {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return err
		}
		p.Acked = info.Bytes_acked
		// One may be on its way; the second says that the first was not answered.
		if info.Probes > 1 || info.Retransmits > 1 {
			p.Unanswered = time.Duration(info.Last_ack_recv) * time.Millisecond
		}
		return nil
	})
	return p
}

// unacked is the number of bytes that were written and not acknowledged (SIOCOUTQ
// of tcp(7)).
func (t tcp) unacked() (n int) {
	t.control(func(fd int) (err error) {
		n, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		return err
	})
	return n
}

// waiting is the number of bytes that have come and were not read (SIOCINQ of
// tcp(7)); 0 where TLS is on top, because those may be TLS's own.
func (t tcp) waiting() (n int) {
	if !t.plain {
		return 0
	}
	t.control(func(fd int) (err error) {
		n, err = unix.IoctlGetInt(fd, unix.SIOCINQ)
		return err
	})
	return n
}

// control calls f with the descriptor. A socket that is closed is no error worth
// more than that nothing is known of it: its reader finds out.
func (t tcp) control(f func(fd int) error) {
	if t.raw == nil {
		return
	}
	_ = t.raw.Control(func(fd uintptr) { _ = f(int(fd)) })
}

// read waits until bytes have come and reads at most atMost of them, into a
// buffer that is taken only then. A socket with TLS on top is read through it,
// with the buffer taken before.
func (t tcp) read(sock net.Conn, atMost int) (*chunk, int, error) {
	if !t.plain {
		buffer := newChunk()
		n, err := sock.Read(buffer.bytes[:atMost])
		return buffer, n, err
	}
	var (
		buffer *chunk
		n      int
		failed error
	)
	err := t.raw.Read(func(fd uintptr) bool {
		buffer = newChunk()
		for {
			n, failed = unix.Read(int(fd), buffer.bytes[:atMost])
			if !errors.Is(failed, unix.EINTR) {
				break
			}
		}
		if errors.Is(failed, unix.EAGAIN) {
			buffer.free()
			buffer, n, failed = nil, 0, nil
			return false
		}
		return true
	})
	switch {
	case err != nil:
		return buffer, 0, err
	case failed != nil:
		return buffer, 0, failed
	case n == 0:
		return buffer, 0, io.EOF
	}
	return buffer, n, nil
}
