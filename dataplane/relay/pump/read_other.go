// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package pump

import (
	"net"

	"github.com/wsproxy/wsproxy/dataplane/relay/tcp"
)

// read reads once, into a buffer that is taken before.
func read(_ tcp.Info, sock net.Conn, atMost int) (*chunk, int, error) {
	buffer := newChunk()
	n, err := sock.Read(buffer.bytes[:atMost])
	return buffer, n, err
}
