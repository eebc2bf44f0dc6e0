// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// What clients say while their upstream is away is bounded by what all of them
// together may keep, however much each of them may. Past that they wait, and lose
// nothing.
func TestHeldClientsAreSlowedDownByTheBudgetOfAll(t *testing.T) {
	const clients, size, count, limit = 3, 16 << 10, 50, 20_000
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect = true
	p := startProxyWith(t, snap, core.NewBudget(limit))
	var open [clients]*websocket.Conn
	var lost [clients]*websocket.Conn
	for i := range open {
		open[i] = p.dial(nil)
		lost[i] = backend.next(t)
	}
	gate := make(chan struct{})
	backend.setAnswer(func(http.ResponseWriter, *http.Request) bool { <-gate; return false })
	for i := range lost {
		cut(lost[i])
	}
	page, _ := p.registry.After("", clients)
	eventually(t, "all losses are noticed", func() bool {
		for _, entry := range page {
			if entry.Describe().Upstream != "" {
				return false
			}
		}
		return true
	})
	for i, client := range open {
		go func() {
			for range count {
				if client.WriteMessage(websocket.BinaryMessage, bytes.Repeat([]byte{byte(i)}, size)) != nil {
					return
				}
			}
		}()
	}
	eventually(t, "the budget is exhausted", func() bool { return p.budget.Used() >= limit })
	// What a read had been begun for is kept, too.
	if most := int64(limit + clients*(16<<10)); p.budget.Used() > most {
		t.Errorf("%d bytes are kept, want at most %d", p.budget.Used(), most)
	}
	close(gate)
	for range clients {
		up := backend.next(t)
		var who []byte
		for i := range count {
			_ = up.SetReadDeadline(time.Now().Add(patience))
			_, message, err := up.ReadMessage()
			if err != nil || len(message) != size || who != nil && !bytes.Equal(who, message) {
				t.Fatalf("message %d: %d bytes, %v", i, len(message), err)
			}
			who = message
		}
	}
}

// A connection whose handshake has no room in the budget is open all the same,
// says why it is not reconnectable, and ends with its upstream. The next one may
// have room again.
func TestAConnectionWithoutRoomForItsHandshakeIsNotReconnectable(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect = true
	const limit = 1000
	p := startProxyWith(t, snap, core.NewBudget(limit))
	if !p.budget.Take(limit) {
		t.Fatal("there is no room for the others")
	}
	client := p.dial(nil)
	up := backend.next(t)
	// Once a message has come through it is surely open.
	send(t, up, "hello")
	receive(t, client, "hello")
	if c := p.only().Describe(); c.Reconnectable || c.NotReconnectableReason != "BudgetExhausted" {
		t.Errorf("reconnectable: %v, %q", c.Reconnectable, c.NotReconnectableReason)
	}
	cut(up)
	receiveClose(t, client, websocket.CloseServiceRestart)
	eventually(t, "it is gone", func() bool { return p.registry.Len() == 0 })
	p.budget.Give(limit)

	p.dial(nil)
	cut(backend.next(t))
	backend.next(t) // the reconnect
	eventually(t, "it is reconnectable", func() bool { return p.only().Describe().Reconnectable })
	if p.budget.Used() == 0 {
		t.Error("the handshake is not charged")
	}
}
