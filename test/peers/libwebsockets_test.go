// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package peers

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// libwebsockets' test programs speak protocols of their own: dumb-increment sends
// numbers, mirror sends everything back as text.
const (
	increment = "dumb-increment-protocol"
	mirror    = "lws-mirror-protocol"
)

// serveLibwebsockets returns the address of libwebsockets' test server.
func serveLibwebsockets(t *testing.T) string {
	address := free(t)
	_, port, _ := net.SplitHostPort(address)
	start(t, "libwebsockets-test-server", "--port="+port)
	listening(t, address)
	return address
}

func TestGorillaTalksToLibwebsockets(t *testing.T) {
	proxy := proxied(t, serveLibwebsockets(t))
	dial := func(protocol string) *websocket.Conn {
		t.Helper()
		dialer := websocket.Dialer{EnableCompression: true, Subprotocols: []string{protocol}, WriteBufferSize: 64}
		conn, _, err := dialer.DialContext(t.Context(), "ws://"+proxy+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		return conn
	}
	echoing := dial(mirror)
	for _, size := range []int{1, 63, 125, 126, 127, 500, 2000} {
		message := strings.Repeat("0123456789", 200)[:size]
		if err := echoing.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
			t.Fatal(err)
		}
		// It left in fragments of at most 64 bytes, and each comes back as a message.
		for got := ""; got != message; {
			kind, part, err := echoing.ReadMessage()
			if got += string(part); err != nil || kind != websocket.TextMessage || len(part) > 64 || !strings.HasPrefix(message, got) {
				t.Fatalf("%d bytes: got %q, kind %d, %v", size, got, kind, err)
			}
		}
	}
	_ = echoing.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4002, "tschüß"), time.Now().Add(patience))
	if code, reason := endOf(echoing); code != 4002 || reason != "tschüß" {
		t.Errorf("the answer to a close frame was %d %q", code, reason)
	}
	counting := dial(increment)
	for _, number := range []string{"0", "1", "2"} {
		if err := expect(counting, websocket.TextMessage, []byte(number)); err != nil {
			t.Fatal(err)
		}
	}
	if err := counting.WriteMessage(websocket.TextMessage, []byte("closeme\n")); err != nil {
		t.Fatal(err)
	}
	if code, reason := endOf(counting); code != 1001 || reason != "seeya" {
		t.Errorf("closed with %d %q", code, reason)
	}
}

func TestLibwebsocketsTalksToGorilla(t *testing.T) {
	answers := make(chan string, 10)
	messages := make(chan string, 10)
	upgrader := websocket.Upgrader{Subprotocols: []string{increment, mirror}, CheckOrigin: func(*http.Request) bool { return true }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if conn.Subprotocol() == mirror {
			_, message, err := conn.ReadMessage()
			if err != nil {
				return
			}
			messages <- string(message)
		}
		for _, number := range []string{"1", strings.Repeat("2", 200), strings.Repeat("3", 70_000)} {
			if conn.WriteMessage(websocket.TextMessage, []byte(number)) != nil {
				return
			}
		}
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4003, "enough"), time.Now().Add(patience))
		code, _ := endOf(conn)
		if code == 4003 {
			answers <- conn.Subprotocol()
		}
	}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(proxied(t, strings.TrimPrefix(server.URL, "http://")))
	start(t, "libwebsockets-test-client", "127.0.0.1", "--port="+port)
	answered := map[string]bool{}
	for len(answered) < 2 {
		select {
		case protocol := <-answers:
			answered[protocol] = true
		case <-time.After(patience):
			t.Fatalf("only %v answered the close frame with its code", answered)
		}
	}
	if message := <-messages; !strings.HasPrefix(message, "c #") {
		t.Errorf("it drew %q", message)
	}
}

func TestLibwebsocketsTalksToLibwebsockets(t *testing.T) {
	_, port, _ := net.SplitHostPort(proxied(t, serveLibwebsockets(t)))
	p := start(t, "libwebsockets-test-client", "127.0.0.1", "--port="+port, "-d", "15")
	p.await(t, "", 20)
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		said := strings.Join(p.lines(""), "\n")
		if strings.Contains(said, "rx 1 '3'") && strings.Contains(said, "mirror: LWS_CALLBACK_CLIENT_ESTABLISHED") {
			return
		}
		if time.Now().After(end) {
			t.Fatal("it did not count to three")
		}
	}
}
