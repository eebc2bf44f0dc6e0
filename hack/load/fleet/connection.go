// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// HeaderConnectionID is the header of the 101 that names the connection.
const HeaderConnectionID = "X-WebSocket-Connection-Id"

// connection is one client. Its writer and its reader are a goroutine each.
type connection struct {
	number int
	fleet  *Fleet
	// over is closed when nothing more will be read.
	over chan struct{}

	// mu guards everything below.
	mu     sync.Mutex
	conn   *websocket.Conn
	id     string
	opened time.Time
	ended  time.Time
	// failure is why there was no handshake.
	failure error
	// code and reason of the close frame that ended the connection; 1006 and the
	// text of the error where there was none.
	code   int
	reason string
	// saidClose is true once we have begun to close.
	saidClose bool
	ledger    ledger
	delays    delays
	pings     uint64
	heard     time.Time
}

// open makes the handshake and starts the reader. It returns nil where that
// failed.
func (c *connection) open(ctx context.Context) *websocket.Conn {
	//nolint:bodyclose // Dial leaves nothing to close in the response.
	conn, response, err := c.fleet.dialer.DialContext(ctx, c.fleet.options.URL, c.fleet.options.Header)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failure, c.ended = failure(response, err), time.Now()
		close(c.over)
		return nil
	}
	c.conn, c.opened, c.id = conn, time.Now(), response.Header.Get(HeaderConnectionID)
	conn.SetPingHandler(c.ponged)
	go c.read(conn)
	return conn
}

// failure is why there was no handshake, with what the peer has to say to that.
func failure(response *http.Response, err error) error {
	if response == nil {
		return err
	}
	// Dial has read what there is of it, up to 1 KiB.
	body, _ := io.ReadAll(response.Body)
	if body = bytes.TrimSpace(body); len(body) == 0 {
		return fmt.Errorf("refused with %s: %w", response.Status, err)
	}
	return fmt.Errorf("refused with %s %q: %w", response.Status, body, err)
}

// ponged answers a ping. An answer that cannot be written is no reason to stop
// reading: what the peer has already sent still counts.
func (c *connection) ponged(data string) error {
	c.mu.Lock()
	c.pings++
	c.mu.Unlock()
	_ = c.conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
	return nil
}

// talk sends messages at the fleet's rate until the connection is over or the
// fleet stops. A writer that is held back skips its turns and makes up for none.
func (c *connection) talk(ctx context.Context, conn *websocket.Conn) {
	if c.fleet.options.Rate <= 0 {
		return
	}
	every := time.Duration(float64(time.Second) / c.fleet.options.Rate)
	// A random start spreads the messages of the fleet over the time between two.
	turn := time.NewTimer(rand.N(every)) // #nosec G404 -- no secret.
	defer turn.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.over:
			return
		case <-turn.C:
			turn.Reset(every)
		}
		if !c.say(conn) {
			return
		}
	}
}

// say sends the next message.
func (c *connection) say(conn *websocket.Conn) bool {
	c.mu.Lock()
	m := message{connection: c.number, sequence: c.ledger.send(), sent: time.Since(c.fleet.start)}
	c.mu.Unlock()
	if err := conn.WriteMessage(m.kind(), m.payload(c.fleet.options.Size)); err != nil {
		// The reader says why the connection ended; this message never left.
		c.mu.Lock()
		c.ledger.unsend()
		c.mu.Unlock()
		return false
	}
	return true
}

// read notes what comes back until the connection ends.
func (c *connection) read(conn *websocket.Conn) {
	defer close(c.over)
	defer conn.Close()
	for {
		kind, payload, err := conn.ReadMessage()
		if err != nil {
			c.end(err)
			return
		}
		m, err := parse(kind, payload, c.fleet.options.Size)
		c.mu.Lock()
		c.heard = time.Now()
		if err != nil || m.connection != c.number {
			c.ledger.foreign++
		} else {
			c.ledger.receive(m.sequence)
			c.delays.add(time.Since(c.fleet.start) - m.sent)
		}
		c.mu.Unlock()
	}
}

// end notes how the connection ended.
func (c *connection) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended, c.code, c.reason = time.Now(), websocket.CloseAbnormalClosure, err.Error()
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
		c.code, c.reason = closed.Code, closed.Text
	}
}

// close says goodbye with code 1000. Errors are the reader's to find.
func (c *connection) close() {
	c.mu.Lock()
	conn := c.conn
	if conn != nil && c.ended.IsZero() {
		c.saidClose = true
	}
	c.mu.Unlock()
	if conn != nil {
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "done"), time.Now().Add(time.Second))
	}
}

// cut ends a connection whose peer does not answer our close.
func (c *connection) cut() {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn != nil {
		_ = conn.NetConn().Close()
	}
}

// outstanding is the number of echoes that may still come.
func (c *connection) outstanding() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil || !c.ended.IsZero() {
		return 0
	}
	return c.ledger.outstanding()
}

// headerOf is what every handshake of a fleet sends.
func headerOf(extra http.Header) http.Header {
	h := extra.Clone()
	if h == nil {
		h = http.Header{}
	}
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", "wsproxy-load")
	}
	return h
}
