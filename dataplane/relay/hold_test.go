// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

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
	for _, code := range []int{1001, 1011, 1012, 1013, 1014} {
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
			// The proxy completes the close handshake. (gorilla cannot read a 1014.)
			_ = first.NetConn().SetReadDeadline(time.Now().Add(patience))
			if frames, _ := heard(first.NetConn()); !slices.Equal(frames, []string{fmt.Sprintf("close %d ", code)}) {
				t.Errorf("the upstream got %q", frames)
			}
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
			eventually(t, "it is gone", func() bool { return p.registry.Len() == 0 })
			if attempts := len(backend.requests) - 1; attempts != 1 {
				t.Errorf("%d attempts to reconnect, want 1", attempts)
			}
		})
	}
}

func TestAnyOtherRefusalOfAReconnectIsTriedAgain(t *testing.T) {
	for _, status := range []int{400, 402, 405, 409, 411, 429, 500, 502, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			backend := startBackend(t)
			snap := snapshot(backend.url)
			snap.Settings.AutoReconnect = true
			p := startProxy(t, snap)
			client := p.dial(nil)
			first := backend.next(t)
			backend.setAnswer(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("X-WebSocket-Reconnect") != "1" {
					return false
				}
				w.WriteHeader(status)
				return true
			})
			cut(first)
			p.held(0)
			send(t, client, "held")
			receive(t, backend.next(t), "held")
		})
	}
}
