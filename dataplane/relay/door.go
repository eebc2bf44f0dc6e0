// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/upstream"
)

// A client that the event loop can serve is first met by an arrival, which reads
// plain handshakes and has their upstream dialed without a goroutine, and without
// net/http (arrival.go). Everything else is handed over to net/http, from where it
// goes the way that all clients go where there is no event loop: a request that is
// not plain, as if nobody had read it before; a handshake whose upstream did not
// answer with a plain 101, with what is known of it.

// handedOver is a client's connection that comes to net/http from an arrival.
type handedOver struct {
	net.Conn
	// read is what was read of it; it comes first.
	read []byte
	// until is when the first head must have come, counted from when the client was
	// accepted.
	until time.Time
	// opening is what the request is about, until it was taken; nil where that is
	// still to be found out.
	opening atomic.Pointer[opening]
}

// opening is a handshake that an arrival let go on in net/http.
type opening struct {
	conn  *conn
	head  *handshake.Head
	begun *upstream.Begun
	// cause returns why the connection was ended meanwhile; nil where it was not.
	cause func() error
}

// Read implements net.Conn.
func (h *handedOver) Read(p []byte) (int, error) {
	if len(h.read) == 0 {
		return h.Conn.Read(p)
	}
	n := copy(p, h.read)
	if h.read = h.read[n:]; len(h.read) == 0 {
		h.read = nil
	}
	return n, nil
}

// SetReadDeadline implements net.Conn. The first one is that of the head.
func (h *handedOver) SetReadDeadline(t time.Time) error {
	if !h.until.IsZero() {
		t, h.until = h.until, time.Time{}
	}
	return h.Conn.SetReadDeadline(t)
}

// Close implements net.Conn. Nobody is left who could take the opening.
func (h *handedOver) Close() error {
	h.opening.Swap(nil).abandon()
	return h.Conn.Close()
}

// CloseWrite has the client see the end of the last answer before the reset that
// bytes of it that nobody read would cause. net/http looks for this method.
func (h *handedOver) CloseWrite() error {
	if tcp, ok := h.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return nil
}

// abandon gives up a handshake with which nobody goes on.
func (o *opening) abandon() {
	if o != nil {
		o.begun.Drop()
		o.conn.abandon()
	}
}

// plainly returns the socket itself, once everything that was read before it was
// handed over is read again.
func plainly(sock net.Conn) (plain net.Conn, left int) {
	h, ok := sock.(*handedOver)
	if !ok {
		return sock, 0
	}
	return h.Conn, len(h.read)
}

// openingKey is where the context of a request has its connection.
type openingKey struct{}

// connContext is http.Server's ConnContext.
func connContext(ctx context.Context, sock net.Conn) context.Context {
	if h, ok := sock.(*handedOver); ok && h.opening.Load() != nil {
		return context.WithValue(ctx, openingKey{}, h)
	}
	return ctx
}

// openingOf takes the opening that a request is about; nil where there is none.
func openingOf(ctx context.Context) *opening {
	if h, ok := ctx.Value(openingKey{}).(*handedOver); ok {
		return h.opening.Swap(nil)
	}
	return nil
}
