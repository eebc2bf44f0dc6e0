// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// echo answers each message with itself until the connection ends.
func echo(conn *websocket.Conn) {
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil || conn.WriteMessage(kind, message) != nil {
			return
		}
	}
}

func TestMessagesOfEverySizeCrossUnchanged(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		t.Run(fmt.Sprintf("compressed=%v", compressed), func(t *testing.T) {
			backend := startBackend(t)
			p := startProxy(t, snapshot(backend.url))
			dialer := websocket.Dialer{EnableCompression: compressed, Subprotocols: []string{"chat.v1", "chat.v2"}}
			client, response, err := dialer.DialContext(t.Context(), p.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if got := client.Subprotocol(); got != "chat.v2" {
				t.Errorf("subprotocol %q, want the upstream's choice", got)
			}
			if got, want := response.Header.Get("X-WebSocket-Connection-Id"), p.only().ID().Name(); got != want {
				t.Errorf("the client was told the name %q, want %q", got, want)
			}
			if got := response.Header.Get("Sec-WebSocket-Extensions") != ""; got != compressed {
				t.Errorf("compression was agreed on: %v, want %v", got, compressed)
			}
			up := backend.next(t)
			done := make(chan struct{})
			go func() { echo(up); close(done) }()
			for _, size := range []int{0, 1, 125, 126, 127, 4095, 16384, 65535, 65536, 1 << 20} {
				sent := make([]byte, size)
				for i := range sent {
					sent[i] = byte(rand.Uint32())
				}
				if err := client.WriteMessage(websocket.BinaryMessage, sent); err != nil {
					t.Fatal(err)
				}
				_ = client.SetReadDeadline(time.Now().Add(patience))
				kind, got, err := client.ReadMessage()
				if err != nil || kind != websocket.BinaryMessage || !bytes.Equal(got, sent) {
					t.Fatalf("size %d: got %d bytes of kind %d, %v", size, len(got), kind, err)
				}
			}
			_ = client.Close()
			<-done
		})
	}
}

func TestFragmentsCrossAsFragments(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	client := deafClient(t, p.url)
	up := backend.next(t)
	// "ab" in two masked frames with a key of zeros, a ping between them.
	if _, err := client.Write([]byte("\x01\x81\x00\x00\x00\x00a\x89\x80\x00\x00\x00\x00\x80\x81\x00\x00\x00\x00b")); err != nil {
		t.Fatal(err)
	}
	receive(t, up, "ab")
	pong := make([]byte, 2)
	_ = client.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(client, pong); err != nil || string(pong) != "\x8a\x00" {
		t.Errorf("got %x, %v; want the upstream's pong", pong, err)
	}
}

func TestPingsAndPongsCross(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	client := p.dial(nil)
	up := backend.next(t)
	got := make(chan string, 1)
	client.SetPongHandler(func(payload string) error { got <- payload; return nil })
	if err := client.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _, _ = up.ReadMessage() }()
	go func() { _, _, _ = client.ReadMessage() }()
	select {
	case payload := <-got:
		if payload != "are you there" {
			t.Errorf("pong %q", payload)
		}
	case <-time.After(patience):
		t.Error("no pong")
	}
}

func TestCloseCodesAndReasonsCross(t *testing.T) {
	for _, code := range []int{1000, 1001, 1003, 1008, 1011, 1012, 3000, 4999} {
		for _, by := range []string{"client", "upstream"} {
			t.Run(fmt.Sprintf("%d by the %s", code, by), func(t *testing.T) {
				backend := startBackend(t)
				p := startProxy(t, snapshot(backend.url))
				client := p.dial(nil)
				up := backend.next(t)
				from, to := client, up
				if by == "upstream" {
					from, to = up, client
				}
				if err := from.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, "because"), time.Now().Add(patience)); err != nil {
					t.Fatal(err)
				}
				if reason := receiveClose(t, to, code); reason != "because" {
					t.Errorf("reason %q", reason)
				}
				receiveClose(t, from, code) // gorilla answers with the same code
				eventually(t, "it is gone", func() bool { return p.registry.Len() == 0 })
			})
		}
	}
}

func TestTheUpstreamsRefusalReachesTheClient(t *testing.T) {
	backend := startBackend(t)
	backend.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Www-Authenticate", "Bearer")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "who are you?")
		return true
	})
	p := startProxy(t, snapshot(backend.url))
	response := refusedWith(t, p)
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != 401 || response.Header.Get("Www-Authenticate") != "Bearer" || string(body) != "who are you?" {
		t.Errorf("got %d %v %q", response.StatusCode, response.Header, body)
	}
}

func TestNoUpstreamIs502(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "ws://" + listener.Addr().String()
	_ = listener.Close()
	p := startProxy(t, snapshot(url))
	if response := refusedWith(t, p); response.StatusCode != http.StatusBadGateway {
		t.Errorf("status %d, want 502", response.StatusCode)
	}
	if n := p.registry.Len(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestAClientThatSpeaksBeforeItIsAnsweredGets400(t *testing.T) {
	backend := startBackend(t)
	release := make(chan struct{})
	asked := make(chan struct{})
	backend.setAnswer(func(http.ResponseWriter, *http.Request) bool { close(asked); <-release; return false })
	p := startProxy(t, snapshot(backend.url))
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	<-asked
	fmt.Fprint(conn, "\x81\x80\x00\x00\x00\x00")
	time.Sleep(50 * time.Millisecond) // so that the byte is there before the upstream's answer; later it would be a frame
	close(release)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	answer, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Errorf("got %.60q, want 400", answer)
	}
}

func TestAClientThatLeavesCancelsTheDialing(t *testing.T) {
	url, accepted := mute(t)
	p := startProxy(t, snapshot(url))
	client, _ := p.ask(plainHead)
	eventually(t, "the upstream is dialed", func() bool { return accepted.Load() == 1 })
	if got := p.phase(); got != dataplanev1alpha1.Phase_PHASE_CONNECTING {
		t.Errorf("phase %v, want connecting", got)
	}
	_ = client.Close()
	eventually(t, "it is gone", func() bool { return p.registry.Len() == 0 })
}
