// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package pump

import (
	"net"
	"sync"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
	"github.com/wsproxy/wsproxy/dataplane/relay/tcp"
)

// Driver drives one connection.
type Driver struct {
	conn driver.Connection
	core *core.Conn

	// The fields below are guarded by the connection's lock.

	// changed is signalled when a pump that waits may go on.
	changed sync.Cond
	legs    [2]leg
	timer   *time.Timer
	armed   core.Instant // when the timer fires; 0: it does not
	pumps   int          // how many run
}

var _ driver.Driver = (*Driver)(nil)

// leg is the socket of one side.
type leg struct {
	sock net.Conn // nil while there is none
	info tcp.Info
	// early is what came with the handshake, to be received before sock is read.
	early []byte
	// reading and writing say that the lock was let go for it; a read is one of at
	// most asked bytes.
	reading, writing bool
	asked            int
	// poked says that the read deadline was set to wake the reader.
	poked bool
}

// Start drives a connection that has this client. The upstream is to be attached;
// the pumps wait for the lock, which the caller holds.
func Start(conn driver.Connection, client net.Conn) *Driver {
	d := &Driver{conn: conn, core: conn.Core()}
	d.changed.L = conn
	d.legs[core.Client] = leg{sock: client, info: tcp.InfoOf(client)}
	d.pumps = len(d.legs)
	for side := range core.Side(len(d.legs)) {
		go d.pump(side)
	}
	return d
}

// Attach implements driver.Driver; there is no error.
func (d *Driver) Attach(sock net.Conn, early []byte) error {
	d.legs[core.Upstream] = leg{sock: sock, info: tcp.InfoOf(sock), early: early}
	return nil
}

// farewellTimeout bounds the sending of the last frame to an upstream that is
// given up.
const farewellTimeout = time.Second

// Detach implements driver.Driver.
func (d *Driver) Detach(farewell []byte) (int, bool) {
	leg := &d.legs[core.Upstream]
	sock := leg.sock
	if sock == nil {
		return 0, false
	}
	unacked := leg.info.Unacked()
	// A write may be under way, and tell so.
	leg.sock, leg.early, leg.info = nil, nil, tcp.Info{}
	leg.reading, leg.poked = false, false
	if farewell == nil {
		_ = tcp.Below(sock).Close()
		return unacked, true
	}
	go func() {
		_ = sock.SetDeadline(time.Now().Add(farewellTimeout))
		_, _ = sock.Write(farewell)
		linger(sock)
	}()
	return unacked, true
}

// AwaitDetached implements driver.Driver. The socket is closed, so this is soon.
func (d *Driver) AwaitDetached() {
	for d.legs[core.Upstream].writing {
		d.changed.Wait()
	}
}

// Reset implements driver.Driver.
func (d *Driver) Reset(side core.Side) {
	if sock := d.legs[side].sock; sock != nil {
		tcp.Reset(sock)
	}
}

// Rearm implements driver.Driver: it sets the timer, if that would fire too late.
// One that fires too early costs less than one that is set at every message.
func (d *Driver) Rearm() {
	next, now := d.core.Next(), driver.Now()
	if next == 0 || d.armed != 0 && d.armed <= next {
		return
	}
	d.armed = driver.Coarse(now, next)
	wait := max(0, d.armed.Sub(now))
	if d.timer == nil {
		d.timer = time.AfterFunc(wait, d.tick)
		return
	}
	d.timer.Reset(wait)
}

// tick is called by the timer.
func (d *Driver) tick() {
	d.conn.Lock()
	defer d.conn.Unlock()
	d.armed = 0
	d.core.Tick(driver.Now(), func(side core.Side) core.Peer { return d.legs[side].info.Peer() })
	d.conn.Changed()
}

// Wake implements driver.Driver.
func (d *Driver) Wake() {
	phase := d.core.Phase()
	if phase == core.Done && d.timer != nil {
		d.timer.Stop()
	}
	for side := range core.Side(len(d.legs)) {
		if phase == core.Done || d.core.Pending(side.Other()) || d.overreads(side) {
			d.legs[side].poke()
		}
	}
	d.changed.Broadcast()
}

// overreads says that a read is under way that may take more than the core wants
// now: the client's, begun before it was held.
func (d *Driver) overreads(side core.Side) bool {
	leg := &d.legs[side]
	return leg.reading && d.core.Wants(side, chunkSize) < leg.asked
}

// poke wakes the reader of a leg, for it is the one who writes to the other.
func (l *leg) poke() {
	if l.reading && !l.poked {
		l.poked = true
		_ = l.sock.SetReadDeadline(time.Unix(1, 0)) // A socket that is closed wakes its reader, too.
	}
}
