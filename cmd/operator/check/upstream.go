// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// upstream is what the proxy relays to: it sends every message back.
type upstream struct {
	// closed is told the close code that a connection ended with, 1006 where there was
	// none. Who does not ask for it misses nothing but that.
	closed chan int
}

// serve answers on listener until ctx ends.
func (u *upstream) serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: u, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	err := server.Serve(listener)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// ServeHTTP implements http.Handler.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The Origin is the proxy's to judge.
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // It has been answered.
	}
	defer conn.Close()
	for {
		kind, message, err := conn.ReadMessage()
		if err == nil {
			err = conn.WriteMessage(kind, message)
		}
		if err != nil {
			select {
			case u.closed <- codeOf(err):
			default:
			}
			return
		}
	}
}
