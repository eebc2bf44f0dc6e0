// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/loop"
	"github.com/wsproxy/wsproxy/dataplane/socket"
	"github.com/wsproxy/wsproxy/dataplane/upstream"
)

// socketListener is a listener whose socket can be accepted from without it.
type socketListener interface {
	net.Listener
	// File returns a duplicate of the socket.
	File() (*os.File, error)
}

// securer is a listener that may want TLS on what it accepts.
type securer interface{ Secure(net.Conn) net.Conn }

// door accepts clients. It is the listener of net/http, which gets those that
// are handed over.
type door struct {
	server   *Server
	listener socketListener
	file     *os.File
	raw      syscall.RawConn

	spare  socket.Spare // run's
	handed chan net.Conn
	closed chan struct{}
	close  func() error
	// failed is why run has ended, once done is closed.
	failed error
	done   chan struct{}
}

// front returns what net/http accepts from: a door, or the listener itself where it
// has no socket or where there is no event loop.
func (s *Server) front(listener net.Listener) (net.Listener, error) {
	l, ok := listener.(socketListener)
	if !ok || s.Goroutines {
		return listener, nil
	}
	file, err := l.File()
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close() // The error that counts is err.
		return nil, err
	}
	d := &door{
		server: s, listener: l, file: file, raw: raw,
		handed: make(chan net.Conn), closed: make(chan struct{}), done: make(chan struct{}),
	}
	d.close = sync.OnceValue(func() error {
		close(d.closed)
		err := errors.Join(d.file.Close(), d.listener.Close())
		<-d.done
		return err
	})
	go d.run()
	return d, nil
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	select {
	case conn := <-d.handed:
		return conn, nil
	case <-d.done:
		if d.failed != nil {
			return nil, d.failed
		}
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (d *door) Close() error { return d.close() }

// Addr implements net.Listener.
func (d *door) Addr() net.Addr { return d.listener.Addr() }

// The pause after an accept for which the process or the machine had no room.
const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// run accepts clients until the door is closed.
func (d *door) run() {
	defer close(d.done)
	defer d.spare.Close()
	for pause := minPause; ; {
		fd, from, err := d.accept()
		switch {
		case err == nil:
			pause = minPause
			d.welcome(fd, from)
			continue
		case !isTemporary(err):
			select {
			case <-d.closed: // That is why.
			default:
				d.failed = os.NewSyscallError("accept", err)
			}
			return
		}
		d.server.Logger.Error(err, "accepting clients failed", "pause", pause.String())
		select {
		case <-time.After(pause):
			pause = min(2*pause, maxPause)
		case <-d.closed:
			return
		}
	}
}

func (d *door) accept() (fd int, from netip.AddrPort, err error) {
	failed := d.raw.Read(func(listener uintptr) bool {
		fd, from, err = socket.Accept(int(listener))
		return !errors.Is(err, unix.EAGAIN)
	})
	if failed != nil {
		return -1, netip.AddrPort{}, failed
	}
	return fd, from, err
}

// welcome gives a client to the event loop, or to net/http where it uses TLS or
// there is no event loop for the moment.
func (d *door) welcome(fd int, from netip.AddrPort) {
	s := d.server
	_, secured := d.listener.(securer)
	secured = secured && s.Config.Current().ListenTLS
	if l := s.drivers.theLoop(); l != nil && !secured {
		a := &arrival{server: s, door: d, from: from}
		err := l.Invite(a, func(g *loop.Guest) {
			a.guest = g
			g.Take(core.Client, fd)
		})
		if err != nil {
			_ = unix.Close(fd) // The server is closed.
		}
		return
	}
	// A client that uses TLS cannot be refused without a net.Conn.
	conn, err := socket.Conn(fd, &d.spare, nil)
	d.spare.Keep()
	if err != nil {
		s.Logger.Error(err, "accepting a client failed")
		return
	}
	if secured {
		conn = d.listener.(securer).Secure(conn)
	}
	d.offer(conn)
}

// noRoom is the answer to a client for which there is no descriptor.
func noRoom() []byte {
	var b bytes.Buffer
	_, _ = upstream.Answer(unix.EMFILE).WriteTo(&b) // which takes everything
	return b.Bytes()
}

// isTemporary says whether accepting may succeed again.
func isTemporary(err error) bool {
	for _, temporary := range [...]error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM} {
		if errors.Is(err, temporary) {
			return true
		}
	}
	return false
}

// offer hands a client over to net/http. Where the door is closed, it is closed,
// too.
func (d *door) offer(conn net.Conn) {
	select {
	case d.handed <- conn:
	case <-d.closed:
		_ = conn.Close()
	}
}
