// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// message returns a frame of a client with so many bytes in all.
func message(size int) []byte {
	frame := wire.AppendFrame(nil, wire.Binary, make([]byte, size), &[4]byte{1, 2, 3, 4})
	return wire.AppendFrame(nil, wire.Binary, make([]byte, 2*size-len(frame)), &[4]byte{1, 2, 3, 4})
}

// waiting waits until the socket of a side has so many bytes to be read.
func (c *conn) waiting(t *testing.T, side core.Side, n int) {
	t.Helper()
	eventually(t, "the bytes have come", func() bool {
		got, err := unix.IoctlGetInt(int(c.k.legs[side].fd), unix.SIOCINQ)
		return err == nil && got == n
	})
}

// The kernel tells of a reset once. Where that is when a read is continued, it is
// told all the same.
func TestAResetBehindAFullReadIsAReset(t *testing.T) {
	c := open(t, startLoop(t), nil)
	c.Lock() // The worker finds all of it at once.
	eventually(t, "the connection is known", func() bool {
		if c.k.slot == none {
			c.Unlock()
			defer c.Lock()
			return false
		}
		return true
	})
	sent := message(keepBytes)
	if _, err := c.client.Write(sent); err != nil {
		t.Fatal(err)
	}
	c.waiting(t, core.Client, len(sent))
	_ = c.client.SetLinger(0)
	_ = c.client.Close()
	c.Unlock()
	if _, err := io.ReadFull(c.upstream, make([]byte, len(sent))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the client is lost", func() bool {
		c.Lock()
		defer c.Unlock()
		return c.core.Phase() >= core.Closing
	})
	c.Lock()
	defer c.Unlock()
	if end := c.core.End(); end.Cause != core.CauseClientLost || !strings.Contains(end.Reason, "reset") {
		t.Errorf("the end is %+v", end)
	}
}

// A read ends at urgent data (MSG_OOB), though more has come behind it. What is
// urgent is left out, as for everybody who does not ask for it.
func TestUrgentDataDoesNotHoldUpWhatFollows(t *testing.T) {
	c := open(t, startLoop(t), nil)
	one, two := message(100), message(200)
	_ = c.upstream.SetReadDeadline(time.Now().Add(patience))
	for range 20 {
		c.Lock() // The worker finds all of it at once.
		if _, err := c.client.Write(one); err != nil {
			t.Fatal(err)
		}
		urgent(t, c.client)
		if _, err := c.client.Write(two); err != nil {
			t.Fatal(err)
		}
		c.waiting(t, core.Client, len(one)) // up to the mark
		c.Unlock()
		got := make([]byte, len(one)+len(two))
		if _, err := io.ReadFull(c.upstream, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, append(bytes.Clone(one), two...)) {
			t.Fatal("other bytes have come")
		}
	}
}

// urgent sends a byte of urgent data.
func urgent(t *testing.T, sock *net.TCPConn) {
	t.Helper()
	raw, err := sock.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Sendto(int(fd), []byte("!"), unix.MSG_OOB, nil) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

// Where the kernel took nothing although nothing is under way, it had no memory,
// and does not say when it has: the socket is written to again after a while.
func TestASocketThatStarvesIsWrittenToAgain(t *testing.T) {
	l := startLoop(t)
	var looked atomic.Int32
	l.workers[0].unacked = func(int) int { looked.Add(1); return 0 }
	c := open(t, l, func(_, upstream *net.TCPConn) {
		// It has taken all that it takes, so that it takes nothing of what follows.
		_ = upstream.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		for rubbish := make([]byte, 64<<10); ; {
			if _, err := upstream.Write(rubbish); err != nil {
				_ = upstream.SetWriteBuffer(1) // far less than is in it
				return
			}
		}
	})
	if _, err := c.client.Write(message(1000)); err != nil {
		t.Fatal(err)
	}
	// The first time because the socket took nothing; then there is no event.
	eventually(t, "it is tried again and again", func() bool { return looked.Load() >= 3 })
}
