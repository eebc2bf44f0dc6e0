// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// lingerTimeout is how long a socket is read from after its end was sent, so that
// the peer gets what was written to it last: bytes that come to a closed socket
// make the kernel send a reset, which may overtake them.
const lingerTimeout = 2 * time.Second

// pump reads one side and writes to the other until the connection is over. Then
// it closes the side it has read.
func (c *conn) pump(from core.Side) {
	to := from.Other()
	var buffer *chunk
	c.mu.Lock()
	for c.core.Phase() != core.Done {
		if batch := c.core.Take(to); batch != nil {
			c.writeLocked(to, batch)
			continue
		}
		if buffer != nil {
			// What it held was written.
			buffer.free()
			buffer = nil
		}
		leg := &c.legs[from]
		atMost := c.core.Wants(from, chunkSize)
		switch {
		case atMost == 0 || leg.sock == nil:
			c.core.Pause(now(), from)
			c.changed.Wait()
		case leg.early != nil:
			early := leg.early
			leg.early = nil
			c.core.Receive(now(), from, early)
			c.afterLocked()
		default:
			buffer = c.readLocked(from, atMost)
		}
	}
	buffer.free()
	c.finishLocked(from)
}

// writeLocked writes a batch and lets the lock go meanwhile. Nothing else writes
// to this side, and the other side is not read from.
func (c *conn) writeLocked(to core.Side, batch [][]byte) {
	leg := &c.legs[to]
	sock := leg.sock
	c.core.Pause(now(), to.Other())
	leg.writing = true
	c.mu.Unlock()
	n, err := write(sock, batch)
	c.mu.Lock()
	leg.writing = false
	c.core.Wrote(now(), to, n, err != nil)
	c.afterLocked()
}

// write writes all of a batch, in one system call where the kernel takes it.
func write(sock net.Conn, batch [][]byte) (int, error) {
	if len(batch) == 1 {
		return sock.Write(batch[0])
	}
	buffers := net.Buffers(append([][]byte(nil), batch...)) // WriteTo consumes it
	n, err := buffers.WriteTo(sock)
	return int(n), err
}

// readLocked reads once, and lets the lock go meanwhile. It returns the buffer
// that the core's output refers to, nil where nothing came.
func (c *conn) readLocked(from core.Side, atMost int) *chunk {
	leg := &c.legs[from]
	sock := leg.sock
	c.core.Resume(now(), from)
	if c.core.TakesRearm() {
		c.armLocked()
	}
	leg.reading = true
	raw := leg.tcp
	c.mu.Unlock()
	buffer, n, err := raw.read(sock, atMost)
	c.mu.Lock()
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
		c.core.Receive(now(), from, buffer.bytes[:n])
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		how := core.BrokenSocket
		if errors.Is(err, io.EOF) {
			how = core.EndOfStream
		}
		c.core.Lost(now(), from, how)
	}
	c.afterLocked()
	return buffer
}

// finishLocked closes the socket of a side whose pump is over, and lets the lock
// go. The last pump to finish takes the connection off the server's count.
func (c *conn) finishLocked(side core.Side) {
	leg := &c.legs[side]
	sock := leg.sock
	leg.sock = nil
	var release func()
	if side == core.Upstream {
		release, c.release = c.release, nil
	}
	c.mu.Unlock()
	if sock != nil {
		linger(sock)
	}
	if release != nil {
		release()
	}
	c.mu.Lock()
	c.pumps--
	last := c.pumps == 0
	c.mu.Unlock()
	if last {
		c.server.live.Add(-1)
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
