// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bytes"
	"context"
	"errors"
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
	"github.com/wsproxy/wsproxy/dataplane/registry"
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

func TestARefusedClientDoesNotKeepItsSocketForEver(t *testing.T) {
	p := startProxy(t, snapshot("ws://127.0.0.1:1"))
	client, err := net.Dial("tcp", strings.TrimPrefix(p.url, "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = client.SetDeadline(time.Now().Add(patience))
	answer, err := io.ReadAll(client)
	if err != nil {
		t.Errorf("the socket is still open: %v", err)
	}
	if !strings.HasPrefix(string(answer), "HTTP/1.1 426 ") {
		t.Errorf("answered %q", answer)
	}
}

func TestAClientThatLeavesCancelsTheDialing(t *testing.T) {
	url, accepted := mute(t)
	p := startProxy(t, snapshot(url))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		_, _, _ = websocket.DefaultDialer.DialContext(ctx, p.url, nil)
		close(done)
	}()
	eventually(t, "the upstream is dialed", func() bool { return accepted.Load() == 1 })
	if got := p.phase(); got != dataplanev1alpha1.Phase_PHASE_CONNECTING {
		t.Errorf("phase %v, want connecting", got)
	}
	cancel()
	<-done
	eventually(t, "it is gone", func() bool { return p.registry.Len() == 0 })
}

func TestDisconnectSendsItsCodeToBothSides(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	client := p.dial(nil)
	up := backend.next(t)
	entry := p.only()
	how := registry.Disconnect{Code: 4001, Reason: "bye", Grace: patience, User: "alice"}
	if err := entry.Disconnect(how); err != nil {
		t.Fatal(err)
	}
	if err := entry.Disconnect(how); !errors.Is(err, registry.ErrClosing) {
		t.Errorf("the second one: %v, want ErrClosing", err)
	}
	if reason := receiveClose(t, client, 4001); reason != "bye" {
		t.Errorf("reason %q", reason)
	}
	receiveClose(t, up, 4001)
	eventually(t, "it is gone", func() bool { return p.registry.Len() == 0 })
}

func TestDisconnectOfAPeerThatNeverAnswersEndsAfterTheGracePeriod(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	deafClient(t, p.url)
	backend.next(t)
	if err := p.only().Disconnect(registry.Disconnect{Code: 1000, Grace: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() bool { return p.registry.Len() == 0 })
}

func TestDisconnectWhileConnectingRefusesTheClient(t *testing.T) {
	url, accepted := mute(t)
	p := startProxy(t, snapshot(url))
	status := make(chan int, 1)
	go func() {
		_, response, _ := websocket.DefaultDialer.DialContext(t.Context(), p.url, nil)
		status <- response.StatusCode
	}()
	eventually(t, "the upstream is dialed", func() bool { return accepted.Load() == 1 })
	entry := p.only()
	if err := entry.Disconnect(registry.Disconnect{Code: 1000}); err != nil {
		t.Fatal(err)
	}
	if got := entry.Describe(); got.Phase != dataplanev1alpha1.Phase_PHASE_CLOSING || got.ClosingSince == nil {
		t.Errorf("it is said to be %v, closing since %v", got.Phase, got.ClosingSince)
	}
	if got := <-status; got != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", got)
	}
}

func TestDrainClosesEveryConnectionWith1012(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	var clients []*websocket.Conn
	for range 10 {
		clients = append(clients, p.dial(nil))
		up := backend.next(t)
		go func() { echo(up); _ = up.Close() }()
	}
	drained := make(chan error, 1)
	go func() { drained <- p.server.Drain(t.Context()) }()
	for _, client := range clients {
		receiveClose(t, client, websocket.CloseServiceRestart)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if response := refusedWith(t, p); response.StatusCode != 503 || response.Header.Get("Retry-After") == "" {
		t.Errorf("a new client got %d %v, want 503 with Retry-After", response.StatusCode, response.Header)
	}
	if n := p.registry.Len(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestLimitsAreAnsweredClearly(t *testing.T) {
	t.Run("maxConnections", func(t *testing.T) {
		backend := startBackend(t)
		snap := snapshot(backend.url)
		snap.Limits.MaxConnections = 1
		p := startProxy(t, snap)
		p.dial(nil)
		response := refusedWith(t, p)
		if response.StatusCode != 503 || response.Header.Get("Retry-After") == "" {
			t.Errorf("got %d %v, want 503 with Retry-After", response.StatusCode, response.Header)
		}
	})
	t.Run("maxConnectionsPerClient", func(t *testing.T) {
		backend := startBackend(t)
		snap := snapshot(backend.url)
		snap.Limits.MaxConnectionsPerClient = 1
		p := startProxy(t, snap)
		p.dial(nil)
		response := refusedWith(t, p)
		if response.StatusCode != 429 || response.Header.Get("Retry-After") == "" {
			t.Errorf("got %d %v, want 429 with Retry-After", response.StatusCode, response.Header)
		}
	})
	t.Run("maxMessageBytes", func(t *testing.T) {
		backend := startBackend(t)
		snap := snapshot(backend.url)
		snap.Limits.MaxMessageBytes = 10
		p := startProxy(t, snap)
		client := p.dial(nil)
		up := backend.next(t)
		send(t, client, "0123456789")
		receive(t, up, "0123456789")
		send(t, client, "0123456789x")
		receiveClose(t, client, websocket.CloseMessageTooBig)
		receiveClose(t, up, websocket.CloseGoingAway)
	})
	t.Run("messagesPerSecond", func(t *testing.T) {
		backend := startBackend(t)
		snap := snapshot(backend.url)
		snap.Limits.MessagesPerSecond = 1
		p := startProxy(t, snap)
		client := p.dial(nil)
		backend.next(t)
		for range 2 {
			send(t, client, "x")
		}
		receiveClose(t, client, websocket.ClosePolicyViolation)
	})
	t.Run("maxConnectionAgeSeconds", func(t *testing.T) {
		backend := startBackend(t)
		snap := snapshot(backend.url)
		snap.Limits.MaxConnectionAgeSeconds = 1
		p := startProxy(t, snap)
		client := p.dial(nil)
		backend.next(t)
		receiveClose(t, client, websocket.CloseGoingAway)
	})
}

func TestASlowReaderSlowsItsWriterAndLosesNothing(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.ConnectionLostTimeout = 2 // shorter than the stall would be, were it taken for silence
	p := startProxy(t, snap)
	client := p.dial(nil)
	up := backend.next(t)
	const size, count = 64 << 10, 400 // more than all buffers on the way
	sent := make(chan error, 1)
	go func() {
		message := bytes.Repeat([]byte("x"), size)
		for range count {
			if err := client.WriteMessage(websocket.BinaryMessage, message); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	go func() { _, _, _ = client.ReadMessage() }() // answers pings
	for i := range count {
		if i == 10 {
			time.Sleep(1500 * time.Millisecond) // the stall; its length is what is tested
		}
		_ = up.SetReadDeadline(time.Now().Add(patience))
		_, message, err := up.ReadMessage()
		if err != nil || len(message) != size {
			t.Fatalf("message %d: %d bytes, %v", i, len(message), err)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestHeldMessagesArriveOnceAndInOrder(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect = true
	p := startProxy(t, snap)
	client := p.dial(nil)
	up := backend.next(t)
	next := 0
	for round := range int32(5) {
		send(t, client, fmt.Sprint(next))
		receive(t, up, fmt.Sprint(next))
		next++
		cut(up)
		p.held(round)
		first := next
		for range 50 {
			send(t, client, fmt.Sprint(next))
			next++
		}
		up = backend.next(t)
		for i := first; i < next; i++ {
			receive(t, up, fmt.Sprint(i))
		}
	}
}

func TestAHeldClientIsSlowedDownByAFullBuffer(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect = true
	snap.Reconnect.BufferBytes = 1000
	p := startProxy(t, snap)
	client := p.dial(nil)
	first := backend.next(t)
	gate := make(chan struct{})
	backend.setAnswer(func(http.ResponseWriter, *http.Request) bool { <-gate; return false })
	cut(first)
	p.held(0)
	const size, count = 64 << 10, 200
	go func() {
		message := bytes.Repeat([]byte("y"), size)
		for range count {
			if client.WriteMessage(websocket.BinaryMessage, message) != nil {
				return
			}
		}
	}()
	eventually(t, "the buffer is full", func() bool { return p.only().Describe().FromClient.Bytes >= 1000 })
	if got := p.only().Describe().FromClient.Bytes; got > 1000 {
		t.Errorf("%d bytes were read, the buffer has 1000", got)
	}
	close(gate)
	up := backend.next(t)
	for i := range count {
		_ = up.SetReadDeadline(time.Now().Add(patience))
		_, message, err := up.ReadMessage()
		if err != nil || len(message) != size {
			t.Fatalf("message %d: %d bytes, %v", i, len(message), err)
		}
	}
}

func TestAnUpstreamThatGoesAwayPolitelyIsReplaced(t *testing.T) {
	for _, code := range []int{1001, 1011, 1012, 1013} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			backend := startBackend(t)
			snap := snapshot(backend.url)
			snap.Settings.AutoReconnect = true
			p := startProxy(t, snap)
			client := p.dial(nil)
			first := backend.next(t)
			if err := first.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			receiveClose(t, first, code) // the proxy completes the close handshake
			second := backend.next(t)
			send(t, client, "hello")
			receive(t, second, "hello")
		})
	}
}

func TestTheFirstMessagesAreSaidAgain(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect = true
	snap.Reconnect.ReplayMessages = 2
	p := startProxy(t, snap)
	client := p.dial(nil)
	up := backend.next(t)
	for _, text := range []string{"login", "subscribe", "other"} {
		send(t, client, text)
		receive(t, up, text)
	}
	for round := range int32(2) {
		cut(up)
		p.held(round)
		send(t, client, "held")
		up = backend.next(t)
		for _, want := range []string{"login", "subscribe", "held"} {
			receive(t, up, want)
		}
	}
}

func TestARefusedReconnectEndsTheClientWith1008(t *testing.T) {
	for _, status := range []int{401, 403, 404, 410} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			backend := startBackend(t)
			snap := snapshot(backend.url)
			snap.Settings.AutoReconnect = true
			p := startProxy(t, snap)
			client := p.dial(nil)
			first := backend.next(t)
			backend.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(status); return true })
			cut(first)
			receiveClose(t, client, websocket.ClosePolicyViolation)
		})
	}
}

func TestASettingsChangeClosesNobody(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	var clients []*websocket.Conn
	for range 20 {
		clients = append(clients, p.dial(nil))
		up := backend.next(t)
		go func() { echo(up); _ = up.Close() }()
	}
	for i := range 50 {
		p.apply(func(s *dataplanev1alpha1.Snapshot) {
			s.Settings = &dataplanev1alpha1.Settings{
				ConnectionLostTimeout: int32(60 + i), ReuseAddr: i%2 == 0, ConnectTimeout: int32(1 + i), MaxRetries: int32(i),
				RetryDelay: int32(i), AutoReconnect: i%3 == 0, AutoReconnectMaxRetries: int32(i), AutoReconnectRetryDelay: int32(i),
			}
		})
		for _, client := range clients {
			send(t, client, fmt.Sprint(i))
		}
		for _, client := range clients {
			receive(t, client, fmt.Sprint(i))
		}
	}
}
