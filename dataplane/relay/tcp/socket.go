// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package tcp

import "net"

// Below returns the socket below TLS. Closing that one never blocks, as sending a
// TLS alert may.
func Below(sock net.Conn) net.Conn {
	if secured, ok := sock.(interface{ NetConn() net.Conn }); ok {
		return secured.NetConn()
	}
	return sock
}

// Reset closes a socket so that its peer gets RST, not FIN, after which it might
// wait for more.
func Reset(sock net.Conn) {
	sock = Below(sock)
	if plain, ok := sock.(*net.TCPConn); ok {
		_ = plain.SetLinger(0) // A socket that is closed already needs nothing.
	}
	_ = sock.Close()
}
