// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"io"
	"net"
	"net/http"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

// Upstream is an upstream that has answered the handshake with 101. Its owner
// closes Conn and calls Release, once.
type Upstream struct {
	// Conn is the connection to read from and to write to: TCP, or TLS over it,
	// without deadlines.
	Conn net.Conn
	// Early is what the upstream sent right behind its 101; it comes before what
	// Conn has to read. At most 4 KiB, nil where there is nothing.
	Early []byte
	// Address is the upstream's IP address and port.
	Address string
	// Response is the header of the 101 as it was received, until it was passed on.
	Response http.Header
	// Agreement is what to hold later upstreams of the same client against.
	handshake.Agreement
	// Release takes the connection off the count of its endpoint.
	Release func()
}

// WriteSwitchingProtocols answers the client's handshake with the 101 of its
// first upstream, in one Write, once. id is the name of the connection.
func (u *Upstream) WriteSwitchingProtocols(w io.Writer, id string) error {
	_, err := w.Write(handshake.AppendSwitching(nil, u.Response, u.Agreement, id))
	return err
}
