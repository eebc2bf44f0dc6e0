// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command pump is the proxy that one writes on gorilla/websocket in an afternoon:
// two connections, and two goroutines that pass messages on.
//
//	pump LISTEN-ADDRESS UPSTREAM-ADDRESS
package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/gorilla/websocket"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pump LISTEN-ADDRESS UPSTREAM-ADDRESS")
		os.Exit(2)
	}
	server := &http.Server{Addr: os.Args[1], Handler: newPump(os.Args[2])} // #nosec G112 -- its clients are ours.
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
	os.Exit(1)
}

// newPump returns a handler that relays WebSocket messages to an address.
func newPump(upstream string) http.Handler {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		server, response, err := websocket.DefaultDialer.DialContext(r.Context(), "ws://"+upstream+r.URL.RequestURI(), nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		response.Body.Close()
		defer server.Close()
		client, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // Upgrade has answered.
		}
		defer client.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			pass(client, server)
		}()
		pass(server, client)
		<-done
	})
}

// pass passes messages on until one side ends, and tells the other.
func pass(to, from *websocket.Conn) {
	// The answer to a close frame is the other side's to give.
	from.SetCloseHandler(func(int, string) error { return nil })
	for {
		kind, message, err := from.ReadMessage()
		if err != nil {
			end(to, err)
			return
		}
		if to.WriteMessage(kind, message) != nil {
			from.Close() // Its reader, which is us, would not notice.
			return
		}
	}
}

// end passes the end of one side on to the other.
func end(to *websocket.Conn, err error) {
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code == websocket.CloseAbnormalClosure {
		to.Close()
		return
	}
	frame := websocket.FormatCloseMessage(closed.Code, closed.Text)
	if to.WriteControl(websocket.CloseMessage, frame, time.Now().Add(time.Second)) != nil {
		to.Close()
	}
}
