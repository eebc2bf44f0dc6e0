// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package tcp

import (
	"net"
	"syscall"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// Info knows nothing where the kernel is not Linux: dead blocked writers are found
// by the kernel's own retries, what an upstream acknowledged is not known, and an
// idle connection keeps its buffers.
type Info struct{}

// InfoOf returns nothing to ask.
func InfoOf(net.Conn) Info { return Info{} }

// Raw returns nil: reading goes through the socket.
func (Info) Raw() syscall.RawConn { return nil }

// Peer is not known.
func (Info) Peer() core.Peer { return core.Peer{} }

// Unacked is not known.
func (Info) Unacked() int { return 0 }

// Waiting is not known.
func (Info) Waiting() int { return 0 }
