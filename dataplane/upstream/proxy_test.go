// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

// proxying is the least that connects a client and an upstream with this
// package: handshakes, and then bytes. It is a relay without any of its promises.
func proxying(t *testing.T, cfg *config.Config) (url string) {
	t.Helper()
	d := NewDialer("")
	var open sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusal := handshake.Check(r, cfg); refusal != nil {
			refusal.Write(w)
			return
		}
		u, err := d.Connect(r.Context(), func() *config.Config { return cfg }, handshake.NewHead(r, cfg, "pod-7"), nil)
		if refused, ok := errors.AsType[*Refused](err); ok {
			if err := refused.Write(w); err != nil {
				panic(http.ErrAbortHandler)
			}
			return
		}
		if err != nil {
			Answer(err).Write(w)
			return
		}
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		open.Add(2)
		pipe := func(to, from net.Conn, early []byte) {
			defer open.Done()
			defer func() { _, _ = to.Close(), from.Close() }()
			if _, err := to.Write(early); err == nil {
				_, _ = io.Copy(to, from)
			}
		}
		if err := u.WriteSwitchingProtocols(client, "pod-7"); err != nil {
			t.Error(err)
		}
		go pipe(client, u.Conn, u.Early)
		go pipe(u.Conn, client, nil)
	}))
	t.Cleanup(func() {
		server.Close()
		open.Wait()
	})
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// echoing is an upstream that is a gorilla server, and says hello first.
func echoing(t *testing.T, saw chan<- *http.Request) (address string) {
	t.Helper()
	upgrader := websocket.Upgrader{EnableCompression: true, Subprotocols: []string{"b"}}
	return serving(t, func(w http.ResponseWriter, r *http.Request) {
		saw <- r
		if r.URL.Path == "/secret" {
			http.Error(w, "not you", http.StatusForbidden)
			return
		}
		conn, err := upgrader.Upgrade(w, r, http.Header{"X-Backend": {"7"}, "X-WebSocket-Connection-Id": {"theirs"}})
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		for err := conn.WriteMessage(websocket.TextMessage, []byte("hello")); err == nil; {
			var kind int
			var message []byte
			if kind, message, err = conn.ReadMessage(); err == nil {
				err = conn.WriteMessage(kind, message)
			}
		}
	})
}

func TestClientAndUpstreamMeetThroughTheProxy(t *testing.T) {
	for _, auto := range []bool{false, true} {
		for _, compression := range []bool{false, true} {
			saw := make(chan *http.Request, 1)
			cfg := at(echoing(t, saw))
			cfg.AutoReconnect = auto
			dialer := websocket.Dialer{EnableCompression: compression, Subprotocols: []string{"a", "b"}}
			conn, response, err := dialer.DialContext(patient(t), proxying(t, cfg)+"/chat%2Froom?token=x%20y",
				http.Header{"Cookie": {"a=b"}, "X-Forwarded-For": {"1.1.1.1"}, "X-WebSocket-Connection-Id": {"mine"}})
			if err != nil {
				t.Fatal(err)
			}
			if got := response.Header.Values("X-WebSocket-Connection-Id"); len(got) != 1 || got[0] != "pod-7" || response.Header.Get("X-Backend") != "7" || conn.Subprotocol() != "b" {
				t.Errorf("the client was told %v", response.Header)
			}
			r := <-saw
			for name, want := range map[string]string{"Cookie": "a=b", "X-Forwarded-For": "127.0.0.1", "X-WebSocket-Connection-Id": "pod-7"} {
				if got := r.Header.Values(name); len(got) != 1 || got[0] != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if r.RequestURI != "/chat%2Froom?token=x%20y" || !strings.HasPrefix("ws://"+r.Host, "ws://127.0.0.1:") {
				t.Errorf("asked %s for %s", r.Host, r.RequestURI)
			}
			if agreed := strings.Contains(response.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate"); agreed != compression {
				t.Errorf("compression %v: agreed on %q", compression, response.Header.Get("Sec-WebSocket-Extensions"))
			}
			if movable := handshake.Movable(response.Header.Get("Sec-WebSocket-Extensions")); auto && !movable {
				t.Errorf("agreed on %q, which cannot be moved", response.Header.Get("Sec-WebSocket-Extensions"))
			}
			if _, message, err := conn.ReadMessage(); err != nil || string(message) != "hello" {
				t.Fatalf("read %q, %v", message, err)
			}
			for range 3 {
				text := strings.Repeat("what the upstream is told it says again ", 100)
				if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
					t.Fatal(err)
				}
				if _, message, err := conn.ReadMessage(); err != nil || string(message) != text {
					t.Fatalf("read %q, %v", message, err)
				}
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestWhatTheClientIsTold(t *testing.T) {
	saw := make(chan *http.Request, 10)
	up := echoing(t, saw)
	slow := at(listening(t, untilClosed))
	slow.ConnectTimeout = 50 * time.Millisecond
	for _, test := range []struct {
		name, path string
		cfg        *config.Config
		status     int
		body       string
	}{
		{"what the upstream says", "/secret", at(up), http.StatusForbidden, "not you\n"},
		{"that nobody is there", "/", at(refusing(t)), http.StatusBadGateway, "the upstream could not be reached\n"},
		{"that there is no endpoint", "/", at(), http.StatusBadGateway, "the upstream could not be reached\n"},
		{"that time ran out", "/", slow, http.StatusGatewayTimeout, "the upstream did not answer in time\n"},
		{"that the handshake is wrong", "/a/../b", at(up), http.StatusBadRequest, "the path has dot segments\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, response, err := websocket.DefaultDialer.DialContext(patient(t), proxying(t, test.cfg)+test.path, nil)
			if !errors.Is(err, websocket.ErrBadHandshake) {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			if response.StatusCode != test.status || string(body) != test.body || err != nil {
				t.Errorf("%d %q, %v; want %d %q", response.StatusCode, body, err, test.status, test.body)
			}
		})
	}
}
