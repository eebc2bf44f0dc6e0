// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

func TestThePumpRelaysMessagesAndTheClose(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for {
			kind, message, err := conn.ReadMessage()
			if err != nil || conn.WriteMessage(kind, append([]byte(r.URL.RequestURI()), message...)) != nil {
				if !websocket.IsCloseError(err, 4001) {
					t.Errorf("the upstream's end: %v", err)
				}
				return
			}
		}
	}))
	defer upstream.Close()
	pump := httptest.NewServer(newPump(upstream.Listener.Addr().String()))
	defer pump.Close()
	conn, response, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(pump.URL, "http")+"/a?b=c", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	response.Body.Close()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(" hello")); err != nil {
		t.Fatal(err)
	}
	if kind, message, err := conn.ReadMessage(); err != nil || kind != websocket.TextMessage || string(message) != "/a?b=c hello" {
		t.Errorf("%d %q %v", kind, message, err)
	}
	if err := conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4001, "enough")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, 4001) {
		t.Errorf("the client's end: %v", err)
	}
}

func TestThePumpSaysThatItsUpstreamIsAway(t *testing.T) {
	away := httptest.NewServer(nil)
	away.Close()
	pump := httptest.NewServer(newPump(away.Listener.Addr().String()))
	defer pump.Close()
	_, response, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(pump.URL, "http"), nil)
	if err == nil || response == nil || response.StatusCode != http.StatusBadGateway {
		t.Errorf("%v, %v", response, err)
	}
}
