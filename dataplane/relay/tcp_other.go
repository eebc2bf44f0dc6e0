// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package relay

import (
	"net"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// tcp knows nothing where the kernel is not Linux: dead blocked writers are found
// by the kernel's own retries, what an upstream acknowledged is not known, and an
// idle connection keeps its buffers.
type tcp struct{}

func tcpOf(net.Conn) tcp { return tcp{} }

func (tcp) peer() core.Peer { return core.Peer{} }

func (tcp) unacked() int { return 0 }

func (tcp) waiting() int { return 0 }

func (tcp) read(sock net.Conn, atMost int) (*chunk, int, error) {
	buffer := newChunk()
	n, err := sock.Read(buffer.bytes[:atMost])
	return buffer, n, err
}
