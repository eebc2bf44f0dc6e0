// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

func TestLimitsAreAnsweredClearly(t *testing.T) {
	t.Parallel()
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
		for range 100 { // faster than one a second, however slow the machine is
			if client.WriteMessage(websocket.TextMessage, []byte("x")) != nil {
				break
			}
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
	snap.Settings.ConnectionLostTimeout = 6 // A ping comes while it is stalled.
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
			time.Sleep(4 * time.Second) // the stall; its length is what is tested
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
