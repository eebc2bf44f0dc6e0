// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package wss

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// closeTimeout is how long a peer may take to answer a close frame.
const closeTimeout = 10 * time.Second

// Clients are connections that all do the same, each on a goroutine. The zero
// value with a target has none.
type Clients struct {
	Host  string
	Port  int
	Roots *x509.CertPool

	conns   []*websocket.Conn
	running sync.WaitGroup
	ending  atomic.Bool

	messages, bytes, cycles atomic.Uint64

	// mu guards err, the first thing that went wrong.
	mu  sync.Mutex
	err error
}

// Messages, Bytes and Cycles count messages and bytes of payload received, and
// connections that Churn opened and closed.
func (c *Clients) Messages() uint64 { return c.messages.Load() }

// Bytes counts payload received.
func (c *Clients) Bytes() uint64 { return c.bytes.Load() }

// Cycles counts connections that Churn opened and closed.
func (c *Clients) Cycles() uint64 { return c.cycles.Load() }

// Err returns the first thing that went wrong before Stop was called.
func (c *Clients) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *Clients) fail(err error) {
	if c.ending.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

func (c *Clients) dial(ctx context.Context, path string) (*websocket.Conn, error) {
	dialer := websocket.Dialer{
		HandshakeTimeout: time.Minute,
		// No session is resumed: every handshake costs the same.
		TLSClientConfig: &tls.Config{RootCAs: c.Roots, ServerName: c.Host, MinVersion: tls.VersionTLS13},
		ReadBufferSize:  16 << 10, WriteBufferSize: 128 << 10, WriteBufferPool: &pool,
	}
	conn, response, err := dialer.DialContext(ctx, "wss://"+net.JoinHostPort(c.Host, strconv.Itoa(c.Port))+path, nil)
	if err != nil {
		return nil, err
	}
	response.Body.Close()
	return conn, nil
}

var pool sync.Pool

// Open opens so many more connections, eight at a time.
func (c *Clients) Open(ctx context.Context, path string, count int) error {
	const parallel = 8
	var mu sync.Mutex
	var errs []error
	var opening sync.WaitGroup
	left := atomic.Int64{}
	left.Store(int64(count))
	for range parallel {
		opening.Go(func() {
			for left.Add(-1) >= 0 {
				conn, err := c.dial(ctx, path)
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
					mu.Unlock()
					return
				}
				c.conns = append(c.conns, conn)
				mu.Unlock()
			}
		})
	}
	opening.Wait()
	return errors.Join(errs...)
}

// each runs a step on every connection, again and again, until one fails or Stop
// is called.
func (c *Clients) each(step func(*websocket.Conn) error) {
	for _, conn := range c.conns {
		c.running.Go(func() {
			for !c.ending.Load() {
				if err := step(conn); err != nil {
					c.fail(err)
					return
				}
			}
		})
	}
}

// Talk keeps one message of size bytes under way on every connection.
func (c *Clients) Talk(size int) {
	message := bytes.Repeat([]byte{'x'}, size)
	c.each(func(conn *websocket.Conn) error {
		if err := conn.WriteMessage(websocket.BinaryMessage, message); err != nil {
			return err
		}
		_, answer, err := conn.ReadMessage()
		if err == nil && !bytes.Equal(answer, message) {
			err = fmt.Errorf("%d bytes came back as %d others", len(message), len(answer))
		}
		c.messages.Add(1)
		return err
	})
}

// Receive asks every connection's source to begin, and receives.
func (c *Clients) Receive() error {
	for _, conn := range c.conns {
		if err := conn.WriteMessage(websocket.BinaryMessage, []byte("go")); err != nil {
			return err
		}
	}
	c.each(func(conn *websocket.Conn) error {
		_, message, err := conn.NextReader()
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, message)
		c.bytes.Add(uint64(n))
		return err
	})
	return nil
}

// Flood sends messages on every connection as fast as they are taken.
func (c *Clients) Flood(size int) {
	message := bytes.Repeat([]byte{'x'}, size)
	c.each(func(conn *websocket.Conn) error { return conn.WriteMessage(websocket.BinaryMessage, message) })
}

// Churn opens and closes connections, so many at a time.
func (c *Clients) Churn(ctx context.Context, parallel int) {
	for range parallel {
		c.running.Go(func() {
			for !c.ending.Load() {
				if err := c.cycle(ctx); err != nil {
					c.fail(err)
					return
				}
				c.cycles.Add(1)
			}
		})
	}
}

// cycle opens a connection and closes it with a close frame.
func (c *Clients) cycle(ctx context.Context) error {
	conn, err := c.dial(ctx, "/")
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(closeTimeout)); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(closeTimeout)); err != nil {
		return err
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		return err
	}
	return nil
}

// Stop ends whatever the connections do and closes their sockets.
func (c *Clients) Stop() {
	c.ending.Store(true)
	for _, conn := range c.conns {
		conn.Close()
	}
	c.running.Wait()
}
