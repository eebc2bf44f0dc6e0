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

func TestTheReverseProxyRelaysAWebSocket(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if err := conn.WriteMessage(websocket.TextMessage, []byte(r.URL.RequestURI()+" "+r.Header.Get("X-Forwarded-For"))); err != nil {
			t.Error(err)
		}
	}))
	defer upstream.Close()
	proxy := httptest.NewServer(newProxy(upstream.Listener.Addr().String()))
	defer proxy.Close()
	conn, response, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(proxy.URL, "http")+"/a?b=c", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	response.Body.Close()
	if _, message, err := conn.ReadMessage(); err != nil || string(message) != "/a?b=c 127.0.0.1" {
		t.Errorf("%q %v", message, err)
	}
}
