// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

// What a change of each setting and each limit does to connections that are there
// already, and to handshakes and outages that have begun. Of the settings,
// connectionLostTimeout that is lowered and autoReconnect that is switched on are
// in settings_test.go; reuseAddr, which the next socket has, is where the sockets
// are made (packages listener and upstream), and so is the certificate.

// set is p.apply for settings.
func (p *proxy) set(change func(*dataplanev1alpha1.Settings)) {
	p.t.Helper()
	p.apply(func(s *dataplanev1alpha1.Snapshot) { change(s.Settings) })
}

// limit is p.apply for limits.
func (p *proxy) limit(change func(*dataplanev1alpha1.Limits)) {
	p.t.Helper()
	p.apply(func(s *dataplanev1alpha1.Snapshot) { change(s.Limits) })
}

// refuses makes the upstream answer with a status instead of an upgrade, and tells
// of each time it did.
func (b *backend) refuses(status int) <-chan time.Time {
	refused := make(chan time.Time, 1000)
	b.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool {
		refused <- time.Now()
		w.WriteHeader(status)
		return true
	})
	return refused
}

// dialing dials in the background, where the answer is an error, and returns the
// status of that.
func dialing(p *proxy) <-chan int {
	answered := make(chan int, 1)
	go func() {
		client, response, err := websocket.DefaultDialer.DialContext(p.t.Context(), p.url, nil)
		if err == nil {
			_ = client.Close()
		}
		if response == nil {
			response = &http.Response{}
		}
		answered <- response.StatusCode
	}()
	return answered
}

// talks checks that a connection still passes messages on, both ways.
func talks(t *testing.T, client, up *websocket.Conn) {
	t.Helper()
	send(t, client, "ping")
	receive(t, up, "ping")
	send(t, up, "pong")
	receive(t, client, "pong")
}

func TestConnectionLostTimeoutLoweredFindsASilentUpstreamOfAnOpenConnection(t *testing.T) {
	t.Parallel()
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.ConnectionLostTimeout = 600
	p := startProxy(t, snap)
	client := p.dial(nil)
	backend.next(t) // never reads, so never answers
	p.set(func(s *dataplanev1alpha1.Settings) { s.ConnectionLostTimeout = 1 })
	if reason := receiveClose(t, client, websocket.CloseServiceRestart); !strings.Contains(reason, "silent") {
		t.Errorf("reason %q, want one that says that the upstream was silent", reason)
	}
}

func TestConnectionLostTimeoutSwitchedOffSparesASilentClientThatWasPinged(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.ConnectionLostTimeout = 1
	p := startProxy(t, snap)
	client := deafClient(t, p.url)
	up := backend.next(t)
	_ = client.SetReadDeadline(time.Now().Add(patience))
	if _, err := client.Read(make([]byte, 1)); err != nil {
		t.Fatalf("no ping: %v", err)
	}
	// It has not answered, and would be lost half a second from here.
	p.set(func(s *dataplanev1alpha1.Settings) { s.ConnectionLostTimeout = 0 })
	_ = up.SetReadDeadline(time.Now().Add(time.Second))
	if _, _, err := up.ReadMessage(); err == nil || websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the upstream was told %v", err)
	}
	if got := p.phase(); got != dataplanev1alpha1.Phase_PHASE_OPEN {
		t.Errorf("the connection is %v, want open", got)
	}
}

func TestConnectTimeoutBoundsTheNextAttemptOfAHandshakeThatHasBegun(t *testing.T) {
	t.Parallel()
	if goroutines {
		t.Skip("a connection that has no upstream yet has no driver either")
	}
	url, accepted := mute(t)
	snap := snapshot(url)
	snap.Settings.ConnectTimeout, snap.Settings.MaxRetries = 1, 1
	p := startProxy(t, snap)
	answered := dialing(p)
	eventually(t, "the first attempt", func() bool { return accepted.Load() == 1 })
	p.set(func(s *dataplanev1alpha1.Settings) { s.ConnectTimeout = 2 })
	eventually(t, "the second attempt", func() bool { return accepted.Load() == 2 })
	second := time.Now()
	if status := <-answered; status != http.StatusGatewayTimeout {
		t.Errorf("status %d, want 504", status)
	}
	// The attempt began a moment before it was seen.
	if took := time.Since(second); took < 1500*time.Millisecond {
		t.Errorf("the second attempt was given up after %v, want the new timeout of 2s", took)
	}
}

func TestMaxRetriesCountsForAHandshakeThatHasBegun(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	asked := 0
	backend.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool {
		if asked++; asked == 1 { // One attempt comes after the other.
			p.set(func(s *dataplanev1alpha1.Settings) { s.MaxRetries = 2 })
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	if status := <-dialing(p); status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want the upstream's 503", status)
	}
	if got := len(backend.requests); got != 3 {
		t.Errorf("%d attempts, want 3", got)
	}
}

func TestRetryDelayIsThatOfTheNextPauseOfAHandshakeThatHasBegun(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.MaxRetries = 1
	p := startProxy(t, snap)
	var times []time.Time
	backend.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool {
		if times = append(times, time.Now()); len(times) == 1 {
			p.set(func(s *dataplanev1alpha1.Settings) { s.RetryDelay = 300 })
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	<-dialing(p)
	if len(times) != 2 || times[1].Sub(times[0]) < 300*time.Millisecond {
		t.Errorf("attempts at %v, want two that are 300ms apart", times)
	}
}

func TestAutoReconnectSwitchedOffEndsWhoIsHeld(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect, snap.Settings.AutoReconnectRetryDelay = true, 600_000
	p := startProxy(t, snap)
	client := p.dial(nil)
	first := backend.next(t)
	refused := backend.refuses(http.StatusServiceUnavailable)
	cut(first)
	<-refused
	p.set(func(s *dataplanev1alpha1.Settings) { s.AutoReconnect = false })
	receiveClose(t, client, websocket.CloseServiceRestart)
}

func TestAutoReconnectMaxRetriesLoweredEndsWhoIsHeld(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect, snap.Settings.AutoReconnectMaxRetries = true, 1000
	p := startProxy(t, snap)
	client := p.dial(nil)
	first := backend.next(t)
	refused := backend.refuses(http.StatusServiceUnavailable)
	cut(first)
	for range 3 {
		<-refused
	}
	p.set(func(s *dataplanev1alpha1.Settings) { s.AutoReconnectMaxRetries = 1 })
	receiveClose(t, client, websocket.CloseTryAgainLater)
}

func TestAutoReconnectRetryDelayLoweredEndsThePauseOfWhoIsHeld(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect, snap.Settings.AutoReconnectRetryDelay = true, 600_000
	p := startProxy(t, snap)
	client := p.dial(nil)
	first := backend.next(t)
	refused := backend.refuses(http.StatusServiceUnavailable)
	cut(first)
	<-refused
	backend.setAnswer(nil)
	p.set(func(s *dataplanev1alpha1.Settings) { s.AutoReconnectRetryDelay = 1 })
	talks(t, client, backend.next(t))
}

// agreeing is an upstream that agrees on the given extensions, and hands its
// connections to the test.
func agreeing(t *testing.T, extensions string) (url string, accepted <-chan net.Conn) {
	t.Helper()
	conns := make(chan net.Conn, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, out, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = fmt.Fprintf(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\nSec-WebSocket-Extensions: %s\r\n\r\n",
			handshake.AcceptOf(r.Header.Get("Sec-WebSocket-Key")), extensions)
		_ = out.Flush()
		conns <- conn
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http"), conns
}

// Another upstream cannot know what the client has said before, which a client with
// a context refers to.
func TestAutoReconnectSwitchedOnLeavesAConnectionWithACompressionContextAsItIs(t *testing.T) {
	for name, want := range map[string]string{
		"permessage-deflate":                             "CompressionContext",
		"permessage-deflate; client_no_context_takeover": "",
	} {
		t.Run(name, func(t *testing.T) {
			url, accepted := agreeing(t, name)
			p := startProxy(t, snapshot(url))
			client, r := p.ask("GET / HTTP/1.1\r\nHost: x\r\n" + opening + "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n\r\n")
			defer client.Close()
			answered(t, r, http.StatusSwitchingProtocols)
			first := <-accepted
			defer first.Close()
			eventually(t, "the connection is open", func() bool { return p.phase() == dataplanev1alpha1.Phase_PHASE_OPEN })
			p.set(func(s *dataplanev1alpha1.Settings) { s.AutoReconnect = true })
			if got := p.only().Describe(); got.Reconnectable != (want == "") || got.NotReconnectableReason != want {
				t.Errorf("reconnectable %v because of %q, want the reason %q", got.Reconnectable, got.NotReconnectableReason, want)
			}
			_ = first.Close()
			if want == "" {
				_ = (<-accepted).Close()
				return
			}
			frame := make([]byte, 4)
			_ = client.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.ReadFull(r, frame); err != nil || frame[0] != 0x88 || int(frame[2])<<8|int(frame[3]) != websocket.CloseServiceRestart {
				t.Errorf("the client got %x, %v; want a close frame with 1012", frame, err)
			}
		})
	}
}

func TestMaxConnectionsLoweredEndsNobodyAndRefusesTheNext(t *testing.T) {
	for name, status := range map[string]int{"maxConnections": 503, "maxConnectionsPerClient": 429} {
		t.Run(name, func(t *testing.T) {
			set := func(n int32) func(*dataplanev1alpha1.Limits) {
				return func(l *dataplanev1alpha1.Limits) {
					if name == "maxConnections" {
						l.MaxConnections = n
					} else {
						l.MaxConnectionsPerClient = n
					}
				}
			}
			backend := startBackend(t)
			p := startProxy(t, snapshot(backend.url))
			first, second := p.dial(nil), p.dial(nil)
			ups := []*websocket.Conn{backend.next(t), backend.next(t)}
			p.limit(set(1))
			if got := refusedWith(t, p); got.StatusCode != status {
				t.Errorf("status %d, want %d", got.StatusCode, status)
			}
			for _, client := range []*websocket.Conn{first, second} {
				send(t, client, "still here")
			}
			for _, up := range ups {
				receive(t, up, "still here")
			}
			p.limit(set(3))
			p.dial(nil)
		})
	}
}

func TestMaxMessageBytesCountsForTheNextMessageOfAnOpenConnection(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	client := p.dial(nil)
	up := backend.next(t)
	send(t, client, "0123456789x")
	receive(t, up, "0123456789x")
	p.limit(func(l *dataplanev1alpha1.Limits) { l.MaxMessageBytes = 10 })
	talks(t, client, up)
	send(t, client, "0123456789x")
	receiveClose(t, client, websocket.CloseMessageTooBig)
}

func TestMessagesPerSecondCountsForAnOpenConnection(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	client := p.dial(nil)
	up := backend.next(t)
	for range 100 {
		send(t, client, "x")
	}
	for range 100 {
		receive(t, up, "x")
	}
	p.limit(func(l *dataplanev1alpha1.Limits) { l.MessagesPerSecond = 1 })
	for range 100 { // faster than one a second, however slow the machine is
		if client.WriteMessage(websocket.TextMessage, []byte("x")) != nil {
			break
		}
	}
	receiveClose(t, client, websocket.ClosePolicyViolation)
}

func TestMaxConnectionAgeEndsAnOpenConnection(t *testing.T) {
	t.Parallel()
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	client := p.dial(nil)
	backend.next(t)
	p.limit(func(l *dataplanev1alpha1.Limits) { l.MaxConnectionAgeSeconds = 1 })
	receiveClose(t, client, websocket.CloseGoingAway)
}
