// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// patience is how long a connection may stay without a message, once we are
// leaving, before it is closed. A message that crosses our close frame on the
// wire can no longer be answered (RFC 6455 section 5.5.1: nothing may be sent
// after Close), and that is least likely right after an answer. So a connection
// is closed after its next answer, and a silent one when patience ends.
const patience = 1500 * time.Millisecond

// pause is how long nothing must have followed an answer: what the peer sent
// together with the answered message has been read by then, also on a machine
// that is busy.
const pause = 50 * time.Millisecond

// farewell is the reason of our close frame.
const farewell = "the server is going away"

// message is what one read returned.
type message struct {
	kind    int
	payload []byte
}

// connections are the open WebSockets of this server.
type connections struct {
	name string
	// leaving is closed when the server begins to say goodbye.
	leaving chan struct{}
	// unanswered counts messages that arrived after our close frame.
	unanswered atomic.Int64
	open       atomic.Int64

	// mu orders the last serve.Add before the Wait of goodbye.
	mu    sync.Mutex
	left  bool
	serve sync.WaitGroup
}

func newConnections(name string) *connections {
	return &connections{name: name, leaving: make(chan struct{})}
}

func (c *connections) count() int64 { return c.open.Load() }

// enter counts a connection in, unless the server is leaving.
func (c *connections) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return false
	}
	c.serve.Add(1)
	c.open.Add(1)
	return true
}

func (c *connections) exit() {
	c.open.Add(-1)
	c.serve.Done()
}

// goodbye ends every connection politely and returns when all are gone, or with
// the error of ctx when it ends before that.
func (c *connections) goodbye(ctx context.Context) error {
	c.mu.Lock()
	c.left = true
	c.mu.Unlock()
	close(c.leaving)
	gone := make(chan struct{})
	go func() {
		c.serve.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// echo answers messages until one of the sides is done. It owns all writes but
// the pongs and the answer to a close frame, which gorilla/websocket lets cross.
func (c *connections) echo(conn *websocket.Conn, behavior behavior) {
	// One message of look-ahead keeps the reader reading while an answer is
	// written; more would be a buffer that hides backpressure.
	messages := make(chan message, 1)
	go read(conn, messages)
	code, reason := c.answer(conn, messages, behavior)
	if code != 0 {
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(goodbye))
		// Reading goes on until the peer's close frame, as RFC 6455 section
		// 7.1.1 wants; a peer that never sends it is not waited for.
		_ = conn.NetConn().SetReadDeadline(time.Now().Add(goodbye))
		for range messages {
			c.unanswered.Add(1)
		}
	}
	_ = conn.Close()
	for range messages { // Lets the reader end.
	}
}

// answer answers messages until the connection ended, which is code 0, or until
// it is time to end it with the code and reason that it returns.
func (c *connections) answer(conn *websocket.Conn, messages <-chan message, behavior behavior) (code int, reason string) {
	leaving := c.leaving
	var impatient, quiet <-chan time.Time
	for answered := 0; ; {
		var m message
		var ok bool
		// A peer that never pauses must not keep us.
		select {
		case <-leaving:
			leaving, impatient = nil, time.After(patience)
		case <-impatient:
			return websocket.CloseGoingAway, farewell
		default:
		}
		// A message that is there comes before the end of a pause that is over.
		select {
		case m, ok = <-messages:
		default:
			select {
			case m, ok = <-messages:
			case <-leaving:
				leaving, impatient = nil, time.After(patience)
				continue
			case <-quiet:
				return websocket.CloseGoingAway, farewell
			case <-impatient:
				return websocket.CloseGoingAway, farewell
			}
		}
		if !ok {
			return 0, ""
		}
		time.Sleep(behavior.delay)
		if conn.WriteMessage(m.kind, m.payload) != nil {
			return 0, ""
		}
		answered++
		if behavior.closes(answered) {
			return behavior.code, "as asked"
		}
		if leaving == nil {
			quiet = time.After(pause)
		}
	}
}

// read passes on what arrives and closes the channel at the end.
func read(conn *websocket.Conn, messages chan<- message) {
	defer close(messages)
	for {
		kind, payload, err := conn.ReadMessage()
		if err != nil {
			return
		}
		messages <- message{kind, payload}
	}
}

// handler serves the echo on every path, and /healthz.
func (c *connections) handler() http.Handler {
	upgrader := websocket.Upgrader{
		CheckOrigin:     func(*http.Request) bool { return true },
		ReadBufferSize:  1024,
		WriteBufferSize: 1024,
		WriteBufferPool: &sync.Pool{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		behavior, err := behaviorOf(r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("X-Echo-Name", c.name)
		if behavior.status != 0 {
			http.Error(w, "refused, as asked", behavior.status)
			return
		}
		if !c.enter() {
			http.Error(w, "going away", http.StatusServiceUnavailable)
			return
		}
		defer c.exit()
		upgrader := upgrader
		upgrader.Subprotocols = websocket.Subprotocols(r)
		// The name goes into the 101 too, so that a client sees who answers it.
		conn, err := upgrader.Upgrade(w, r, http.Header{"X-Echo-Name": {c.name}})
		if err != nil {
			return
		}
		c.echo(conn, behavior)
	})
	return mux
}
