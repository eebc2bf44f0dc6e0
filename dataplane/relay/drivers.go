// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"net"
	"runtime"
	"sync"

	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
	"github.com/wsproxy/wsproxy/dataplane/relay/loop"
	"github.com/wsproxy/wsproxy/dataplane/relay/pump"
	"github.com/wsproxy/wsproxy/dataplane/upstream"
)

// drivers has what the drivers of all connections share. Which of them drives a
// connection is decided here and known nowhere else.
type drivers struct {
	// goroutines says that there is only that one.
	goroutines bool

	mu sync.Mutex
	// The fields below are guarded by mu.
	loop   *loop.Loop // nil until the first connection
	closed bool
}

// theLoop returns the event loop, which is started for the first connection; nil
// where there is none. It fails where the kernel is not Linux, and while there are
// no descriptors left: the other driver does the same for more memory.
func (d *drivers) theLoop() *loop.Loop {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.loop == nil && !d.goroutines && !d.closed {
		d.loop, _ = loop.New(runtime.GOMAXPROCS(0))
	}
	return d.loop
}

// close ends the loop; every connection is over.
func (d *drivers) close() {
	d.mu.Lock()
	ended := d.loop
	d.loop, d.closed = nil, true // No connection begins one from here on.
	d.mu.Unlock()
	if ended != nil {
		ended.Close()
	}
}

// drive gives a connection its driver, with the lock held, and that the sockets of
// both sides.
func (s *Server) drive(c *conn, client net.Conn, up *upstream.Upstream) driver.Driver {
	if loop := s.drivers.theLoop(); loop != nil {
		if d, err := loop.Start(c, client, up.Conn, up.Early); err == nil {
			return d
		}
	}
	d := pump.Start(c, client)
	_ = d.Attach(up.Conn, up.Early) // It takes every socket.
	return d
}

// giveLocked gives the driver another upstream. Where that came with TLS, which
// the one before had not, the connection gets another driver.
func (c *conn) giveLocked(up *upstream.Upstream) error {
	err := c.driver.Attach(up.Conn, up.Early)
	if !errors.Is(err, loop.ErrNotPlain) {
		return err
	}
	client, err := c.driver.(*loop.Conn).Release()
	if err != nil {
		return err
	}
	c.driver = pump.Start(c, client)
	c.driver.Rearm()
	return c.driver.Attach(up.Conn, up.Early)
}
