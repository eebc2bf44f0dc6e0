// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// Each of the eight settings has a test that fails where it is ignored: seven are
// here, reuseAddr is where the sockets are made (packages listener and upstream).

// deafClient opens a WebSocket and then neither reads nor answers anything.
func deafClient(t *testing.T, url string) net.Conn {
	t.Helper()
	address := strings.TrimPrefix(url, "ws://")
	conn, err := (&net.Dialer{Control: littleOnTheWay}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", address)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: %v %v", response, err)
	}
	return conn
}

func TestConnectionLostTimeoutEndsASilentClient(t *testing.T) {
	t.Parallel()
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.ConnectionLostTimeout = 1
	p := startProxy(t, snap)
	begun := time.Now()
	deafClient(t, p.url)
	up := backend.next(t)
	receiveClose(t, up, websocket.CloseGoingAway)
	if took := time.Since(begun); took < time.Second {
		t.Errorf("lost after %v, must not be before the timeout of 1s", took)
	}
}

func TestConnectionLostTimeoutSparesAClientThatAnswersPings(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.ConnectionLostTimeout = 1
	p := startProxy(t, snap)
	client := p.dial(nil)
	up := backend.next(t)
	var pings atomic.Int64
	answer := client.PingHandler()
	client.SetPingHandler(func(payload string) error {
		pings.Add(1)
		return answer(payload)
	})
	var pongs atomic.Int64
	up.SetPongHandler(func(string) error { pongs.Add(1); return nil })
	go func() { _, _, _ = up.ReadMessage() }() // answers the pings of the upstream's leg
	go func() { _, _, _ = client.ReadMessage() }()
	eventually(t, "three pings, which is one and a half timeouts", func() bool { return pings.Load() >= 3 })
	if got := p.phase(); got != dataplanev1alpha1.Phase_PHASE_OPEN {
		t.Errorf("the connection is %v, want open", got)
	}
	if pongs.Load() != 0 {
		t.Errorf("%d pongs to the proxy's pings reached the upstream", pongs.Load())
	}
}

func TestConnectionLostTimeoutOfZeroIsOff(t *testing.T) {
	t.Parallel()
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	client := deafClient(t, p.url)
	backend.next(t)
	// A ping would come within half a second if the timeout were a second.
	_ = client.SetReadDeadline(time.Now().Add(1500 * time.Millisecond))
	if n, err := client.Read(make([]byte, 1)); n != 0 {
		t.Errorf("a byte was sent to the silent client (%v)", err)
	}
}

func TestConnectionLostTimeoutIsLoweredOnALiveConnection(t *testing.T) {
	t.Parallel()
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.ConnectionLostTimeout = 600
	p := startProxy(t, snap)
	deafClient(t, p.url)
	up := backend.next(t)
	p.apply(func(s *dataplanev1alpha1.Snapshot) { s.Settings.ConnectionLostTimeout = 1 })
	receiveClose(t, up, websocket.CloseGoingAway)
}

func TestConnectionLostTimeoutFindsASilentUpstream(t *testing.T) {
	t.Parallel()
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.ConnectionLostTimeout = 1
	p := startProxy(t, snap)
	client := p.dial(nil)
	backend.next(t) // never reads, so never answers
	reason := receiveClose(t, client, websocket.CloseServiceRestart)
	if !strings.Contains(reason, "silent") {
		t.Errorf("reason %q, want one that says that the upstream was silent", reason)
	}
}

// mute accepts TCP connections and never says a word.
func mute(t *testing.T) (url string, accepted *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted = new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return "ws://" + listener.Addr().String(), accepted
}

// refusedWith dials and returns the status of the refusal.
func refusedWith(t *testing.T, p *proxy) *http.Response {
	t.Helper()
	client, response, err := websocket.DefaultDialer.DialContext(t.Context(), p.url, nil)
	if err == nil {
		_ = client.Close()
		t.Fatal("the handshake succeeded")
	}
	if response == nil {
		t.Fatal(err)
	}
	return response
}

func TestConnectTimeoutBoundsAnAttempt(t *testing.T) {
	t.Parallel()
	url, _ := mute(t)
	snap := snapshot(url)
	snap.Settings.ConnectTimeout = 1
	p := startProxy(t, snap)
	begun := time.Now()
	if response := refusedWith(t, p); response.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("status %d, want 504", response.StatusCode)
	}
	if took := time.Since(begun); took < time.Second {
		t.Errorf("answered after %v, before the timeout of 1s", took)
	}
}

func TestMaxRetriesIsTheNumberOfFurtherAttempts(t *testing.T) {
	for _, retries := range []int32{0, 2} {
		t.Run(fmt.Sprint(retries), func(t *testing.T) {
			backend := startBackend(t)
			backend.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("X-From", "upstream")
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			})
			snap := snapshot(backend.url)
			snap.Settings.MaxRetries = retries
			p := startProxy(t, snap)
			response := refusedWith(t, p)
			if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("X-From") != "upstream" {
				t.Errorf("status %d, header %v; want the upstream's own answer", response.StatusCode, response.Header)
			}
			if got := len(backend.requests); got != int(retries)+1 {
				t.Errorf("%d attempts, want %d", got, retries+1)
			}
		})
	}
}

func TestRetryDelayIsTheLeastPauseBetweenAttempts(t *testing.T) {
	backend := startBackend(t)
	times := make(chan time.Time, 10)
	backend.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool {
		times <- time.Now()
		w.WriteHeader(http.StatusBadGateway)
		return true
	})
	snap := snapshot(backend.url)
	snap.Settings.MaxRetries, snap.Settings.RetryDelay = 1, 300
	p := startProxy(t, snap)
	refusedWith(t, p)
	if pause := -(<-times).Sub(<-times); pause < 300*time.Millisecond {
		t.Errorf("the pause was %v, want at least 300ms", pause)
	}
}

// cut ends an upstream's connection without a close frame.
func cut(conn *websocket.Conn) { _ = conn.NetConn().Close() }

func TestAutoReconnectHoldsTheClient(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect = true
	p := startProxy(t, snap)
	client := p.dial(nil)
	first := backend.next(t)
	send(t, client, "one")
	receive(t, first, "one")
	cut(first)
	p.held(0)
	send(t, client, "two")
	second := backend.next(t)
	receive(t, second, "two")
	send(t, second, "three")
	receive(t, client, "three")
	if got := p.only().Describe(); got.Reconnects != 1 || got.Phase != dataplanev1alpha1.Phase_PHASE_OPEN {
		t.Errorf("phase %v after %d reconnects, want open after 1", got.Phase, got.Reconnects)
	}
	first2, second2 := <-backend.requests, <-backend.requests
	if id := first2.Header.Get("X-WebSocket-Connection-Id"); id == "" || id != second2.Header.Get("X-WebSocket-Connection-Id") {
		t.Errorf("the connection was called %q and then %q", id, second2.Header.Get("X-WebSocket-Connection-Id"))
	}
	if got := second2.Header.Get("X-WebSocket-Reconnect"); got != "1" {
		t.Errorf("X-WebSocket-Reconnect: %q, want 1", got)
	}
	if second2.RequestURI != first2.RequestURI || second2.RequestURI != "/chat?x=%20y" {
		t.Errorf("asked for %q, then for %q", first2.RequestURI, second2.RequestURI)
	}
}

func TestWithoutAutoReconnectTheClientIsClosed(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	client := p.dial(nil)
	cut(backend.next(t))
	receiveClose(t, client, websocket.CloseServiceRestart)
}

func TestAutoReconnectSwitchedOnProtectsAConnectionThatWasOpenBefore(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	client := p.dial(nil)
	first := backend.next(t)
	send(t, client, "one")
	receive(t, first, "one")
	p.apply(func(s *dataplanev1alpha1.Snapshot) { s.Settings.AutoReconnect = true })
	cut(first)
	p.held(0)
	second := backend.next(t)
	send(t, client, "two")
	receive(t, second, "two")
}

func TestAutoReconnectMaxRetriesBoundsTheAttempts(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect = true
	snap.Settings.AutoReconnectMaxRetries = 3
	p := startProxy(t, snap)
	client := p.dial(nil)
	first := backend.next(t)
	<-backend.requests
	backend.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	cut(first)
	receiveClose(t, client, websocket.CloseTryAgainLater)
	if got := len(backend.requests); got != 3 {
		t.Errorf("%d attempts, want 3", got)
	}
}

func TestAutoReconnectRetryDelayIsTheLeastPauseBetweenThem(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect = true
	snap.Settings.AutoReconnectMaxRetries = 2
	snap.Settings.AutoReconnectRetryDelay = 300
	p := startProxy(t, snap)
	client := p.dial(nil)
	first := backend.next(t)
	times := make(chan time.Time, 10)
	backend.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool {
		times <- time.Now()
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	cut(first)
	receiveClose(t, client, websocket.CloseTryAgainLater)
	if pause := -(<-times).Sub(<-times); pause < 300*time.Millisecond {
		t.Errorf("the pause was %v, want at least 300ms", pause)
	}
}

// TestAClientThatTalksAndDoesNotReadIsNotLost: any byte counts, and a kernel that
// answers for a slow reader is not silence either.
func TestAClientThatTalksAndDoesNotReadIsNotLost(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.ConnectionLostTimeout = 1
	p := startProxy(t, snap)
	client := p.dial(nil)
	up := backend.next(t)
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		for message := make([]byte, 1<<20); up.WriteMessage(websocket.BinaryMessage, message) == nil; {
		}
	}()
	// Four timeouts; the kernel's own would end it after one.
	for i := range 8 {
		send(t, client, fmt.Sprint(i))
		receive(t, up, fmt.Sprint(i))
		time.Sleep(500 * time.Millisecond) // the silence of the reader is what is tested
	}
	if got := p.phase(); got != dataplanev1alpha1.Phase_PHASE_OPEN {
		t.Errorf("the connection is %v, want open", got)
	}
	_ = client.Close()
	_ = up.NetConn().Close() // It does not read either, and would be listened to for a while.
	<-flooded
}
