// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits for what must happen; it is never what a test measures.
const patience = 20 * time.Second

// conn is a connection that has nothing but its core.
type conn struct {
	sync.Mutex
	core *core.Conn
	k    *Conn
	over chan struct{}
	// relayed counts what was timed, by the side that it came from.
	relayed [2]int

	client, upstream *net.TCPConn // the peers' ends
}

func (c *conn) Core() *core.Conn { return c.core }

func (c *conn) Over() { close(c.over) }

func (c *conn) Relayed(from core.Side, took time.Duration) {
	if took <= 0 {
		panic("bytes were relayed before they came")
	}
	c.relayed[from]++
}

func (c *conn) Changed() {
	e := c.core.TakeEffects()
	if e.Detach {
		unacked, _ := c.k.Detach(e.Farewell)
		c.core.Detached(unacked)
	}
	for side, reset := range e.Reset {
		if reset {
			c.k.Reset(core.Side(side))
		}
	}
	if e.Rearm {
		c.k.Rearm()
	}
	c.k.Wake()
}

// startLoop runs a loop with one worker until the test ends.
func startLoop(t *testing.T) *Loop {
	t.Helper()
	l, err := New(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// tcpPair returns both ends of a TCP connection; those of the proxy and of the peer.
func tcpPair(t *testing.T) (ours, theirs *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialed, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close() })
	return accepted.(*net.TCPConn), dialed.(*net.TCPConn)
}

// open opens a connection on the loop. The test ends it.
func open(t *testing.T, l *Loop, prepare func(client, upstream *net.TCPConn)) *conn {
	t.Helper()
	c := &conn{over: make(chan struct{})}
	client, toClient := tcpPair(t)
	upstream, toUpstream := tcpPair(t)
	c.client, c.upstream = toClient, toUpstream
	if prepare != nil {
		prepare(client, upstream)
	}
	c.core = core.New(driver.Now(), &core.Settings{Random: rand.Uint64}, core.Terms{})
	c.Lock()
	defer c.Unlock()
	k, err := l.Start(c, client, upstream, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.k = k
	c.Changed()
	t.Cleanup(func() {
		c.Lock()
		c.core.Abort(driver.Now())
		c.Changed()
		c.Unlock()
		select {
		case <-c.over:
		case <-time.After(patience):
			t.Error("the connection is not over")
		}
	})
	return c
}

// state returns what the loop knows of a side.
func (c *conn) state(side core.Side) leg {
	c.Lock()
	defer c.Unlock()
	return c.k.legs[side]
}

// moved returns how many bytes came from a side.
func (c *conn) moved(from core.Side) uint64 {
	c.Lock()
	defer c.Unlock()
	return c.core.Bytes(from)
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
