// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package pump

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
)

// lingerTimeout is how long a socket is read from after its end was sent, so that
// the peer gets what was written to it last: bytes that come to a closed socket
// make the kernel send a reset, which may overtake them.
const lingerTimeout = 2 * time.Second

// timedEvery is of how many reads of a side one is timed, the first among them.
const timedEvery = 61

// pump reads one side and writes to the other until the connection is over. Then
// it closes the side it has read.
func (d *Driver) pump(from core.Side) {
	to := from.Other()
	var buffer *chunk
	reads, came := 0, core.Instant(0) // came is when what buffer has was read, where that is timed
	d.conn.Lock()
	if rest := d.core.Rest(to); rest != nil {
		// Another driver left it behind.
		d.write(to, rest)
	}
	for d.core.Phase() != core.Done {
		if batch := d.core.Take(to); batch != nil {
			d.write(to, batch)
			if came != 0 {
				d.conn.Relayed(from, driver.Now().Sub(came))
				came = 0
			}
			continue
		}
		came = 0 // What was read is held.
		if buffer != nil {
			// What it held was written.
			buffer.free()
			buffer = nil
		}
		leg := &d.legs[from]
		atMost := d.core.Wants(from, chunkSize)
		switch {
		case atMost == 0 || leg.sock == nil:
			d.core.Pause(driver.Now(), from)
			d.changed.Wait()
		case leg.early != nil:
			early := leg.early
			leg.early = nil
			d.core.Receive(driver.Now(), from, early)
			d.conn.Changed()
		default:
			if buffer = d.read(from, atMost); buffer != nil {
				if reads%timedEvery == 0 {
					came = driver.Now()
				}
				reads++
			}
		}
	}
	buffer.free()
	d.finish(from)
}

// write writes a batch and lets the lock go meanwhile. Nothing else writes to
// this side, and the other side is not read from.
func (d *Driver) write(to core.Side, batch [][]byte) {
	leg := &d.legs[to]
	sock := leg.sock
	d.core.Pause(driver.Now(), to.Other())
	leg.writing = true
	d.conn.Unlock()
	n, err := writeAll(sock, batch)
	d.conn.Lock()
	leg.writing = false
	d.core.Wrote(driver.Now(), to, n, err != nil)
	d.conn.Changed()
}

// writeAll writes all of a batch, in one system call where the kernel takes it.
func writeAll(sock net.Conn, batch [][]byte) (int, error) {
	if len(batch) == 1 {
		return sock.Write(batch[0])
	}
	buffers := net.Buffers(append([][]byte(nil), batch...)) // WriteTo consumes it
	n, err := buffers.WriteTo(sock)
	return int(n), err
}

// read reads once, and lets the lock go meanwhile. It returns the buffer that
// the core's output refers to, nil where nothing came.
func (d *Driver) read(from core.Side, atMost int) *chunk {
	leg := &d.legs[from]
	sock := leg.sock
	d.core.Resume(driver.Now(), from)
	if d.core.TakesRearm() {
		d.Rearm()
	}
	leg.reading, leg.asked = true, atMost
	info := leg.info
	d.conn.Unlock()
	buffer, n, err := read(info, sock, atMost)
	d.conn.Lock()
	if leg.sock != sock {
		// This upstream was given up meanwhile; what it said last is of no use.
		buffer.free()
		return nil
	}
	leg.reading = false
	if leg.poked {
		leg.poked = false
		_ = sock.SetReadDeadline(time.Time{}) // A socket that cannot be read says so at the next read.
	}
	if n > 0 {
		d.core.Receive(driver.Now(), from, buffer.bytes[:n])
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		how := core.BrokenSocket
		if errors.Is(err, io.EOF) {
			how = core.EndOfStream
		}
		d.core.Lost(driver.Now(), from, how)
	}
	d.conn.Changed()
	return buffer
}

// finish closes the socket of a side whose pump is over, and lets the lock go.
// The last pump to finish ends the driver.
func (d *Driver) finish(side core.Side) {
	leg := &d.legs[side]
	sock := leg.sock
	leg.sock = nil
	d.conn.Unlock()
	if sock != nil {
		linger(sock)
	}
	d.conn.Lock()
	d.pumps--
	last := d.pumps == 0
	d.conn.Unlock()
	if last {
		d.conn.Over()
	}
}

// linger ends a socket with FIN and waits for the peer's, for a while.
func linger(sock net.Conn) {
	_ = sock.SetDeadline(time.Now().Add(lingerTimeout))
	if half, ok := sock.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, sock) // It ends with FIN, an error or the deadline.
	}
	_ = sock.Close()
}
