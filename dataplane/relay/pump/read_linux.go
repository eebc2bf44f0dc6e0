// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package pump

import (
	"errors"
	"io"
	"net"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/relay/tcp"
)

// read waits until bytes have come and reads at most atMost of them, into a
// buffer that is taken only then. A socket with TLS on top is read through it,
// with the buffer taken before.
func read(info tcp.Info, sock net.Conn, atMost int) (*chunk, int, error) {
	raw := info.Raw()
	if raw == nil {
		buffer := newChunk()
		n, err := sock.Read(buffer.bytes[:atMost])
		return buffer, n, err
	}
	var (
		buffer *chunk
		n      int
		failed error
	)
	err := raw.Read(func(fd uintptr) bool {
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
