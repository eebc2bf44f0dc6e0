// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package listener

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/wsproxy/wsproxy/dataplane/certs"
	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/socket"
)

// Listen opens the TCP address for clients. Whether a connection speaks TLS is
// decided when it is accepted, so that switching TLS on or off, like renewing
// the certificate, needs no restart. The TLS handshake is left to whoever reads
// first, who also has to bound it; an accepted *tls.Conn has the TCP connection
// as its NetConn.
func Listen(ctx context.Context, address string, store *config.Store, certificate *certs.Pair) (net.Listener, error) {
	lc := net.ListenConfig{
		Control: socket.ReuseAddr(store.Current().ReuseAddr),
		// Lost clients are found by pings of ours, or not at all where
		// connectionLostTimeout is 0: not by the kernel.
		KeepAlive: -1,
	}
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for clients: %w", err)
	}
	return &listener{Listener: l, store: store, tls: &tls.Config{
		MinVersion: tls.VersionTLS12,
		// WebSocket is spoken over HTTP/1.1; a client that could do HTTP/2 as well
		// must not choose it.
		NextProtos:     []string{"http/1.1"},
		GetCertificate: certificate.GetCertificate,
	}}, nil
}

type listener struct {
	net.Listener
	store *config.Store
	tls   *tls.Config
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.Secure(conn), nil
}

// Secure puts TLS on a connection that was accepted from the socket, where the
// configuration wants it at this moment.
func (l *listener) Secure(conn net.Conn) net.Conn {
	if l.store.Current().ListenTLS {
		return tls.Server(conn, l.tls)
	}
	return conn
}

// File returns a duplicate of the socket, for who accepts from it without Accept.
func (l *listener) File() (*os.File, error) { return l.Listener.(*net.TCPListener).File() }

// SyscallConn gives access to the socket, to read its options back.
func (l *listener) SyscallConn() (syscall.RawConn, error) {
	return l.Listener.(*net.TCPListener).SyscallConn()
}
