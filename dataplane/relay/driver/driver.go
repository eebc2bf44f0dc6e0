// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"net"
	"sync"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// Connection is what a driver moves the bytes of.
type Connection interface {
	// Lock guards the core and the driver. The connection holds it while it calls
	// a Driver, a driver while it calls the core.
	sync.Locker
	// Core is the connection's, the same one all the time.
	Core() *core.Conn
	// Changed is to be called when the core has effects. It obeys them, so it may
	// call the Driver. The caller holds the lock.
	Changed()
	// Relayed is told, of some reads, how long their bytes were on their way through.
	Relayed(from core.Side, took time.Duration)
	// Over is called once, without the lock, when the connection is Done and its
	// sockets are closed.
	Over()
}

// Driver moves the bytes of one connection, from the moment that it has the
// client's socket until it calls Over. Whoever calls it holds the lock, and no
// method waits but AwaitDetached.
type Driver interface {
	// Attach gives the connection the socket of an upstream. early is what came
	// with the upstream's handshake, to be received before what sock has. Where the
	// error is not nil, sock is still the caller's.
	Attach(sock net.Conn, early []byte) error
	// Detach gives the socket of the upstream up, after farewell was written where
	// that is not nil. unacked is the number of bytes that the kernel had taken and
	// the upstream had not acknowledged; ok says whether there was a socket.
	Detach(farewell []byte) (unacked int, ok bool)
	// AwaitDetached lets the lock go until the core may be told that another
	// upstream is Attached: no write to the one before is under way.
	AwaitDetached()
	// Reset ends the socket of a side at once, with RST.
	Reset(side core.Side)
	// Rearm says that the core's Next may have moved forward.
	Rearm()
	// Wake says that something was done to the core: there may be bytes to be
	// written or room to read, or the connection may be Done.
	Wake()
}
