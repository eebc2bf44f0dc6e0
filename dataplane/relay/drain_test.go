// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// echoing sends back what an upstream gets, until it is closed.
func echoing(up *websocket.Conn) {
	go func() { echo(up); _ = up.Close() }()
}

func TestDrainClosesEveryConnectionWith1012(t *testing.T) {
	t.Parallel()
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	var clients []*websocket.Conn
	for range 10 {
		clients = append(clients, p.dial(nil))
		echoing(backend.next(t))
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

// The registry tells of every change in its order, however busy the machine is.
func TestDrainBeginsWithThoseThatWereIdleForLongest(t *testing.T) {
	t.Parallel()
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	const count = 10
	var clients []*websocket.Conn
	var names []string
	for i := range count {
		client := p.dial(nil)
		echoing(backend.next(t))
		clients = append(clients, client)
		page, _ := p.registry.After("", count)
		names = append(names, page[i].ID().Name())
	}
	var idle, talked []string
	for _, i := range []int{8, 0, 6, 2, 4} {
		send(t, clients[i], "hello")
		receive(t, clients[i], "hello")
		talked = append(talked, names[i])
	}
	for i := 1; i < count; i += 2 {
		idle = append(idle, names[i])
	}
	drained := make(chan error, 1)
	go func() { drained <- p.server.Drain(t.Context()) }()
	for _, client := range clients {
		go func() { _, _, _ = client.ReadMessage() }() // and so answers the close frame
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	var closed []string
	into := make([]registry.Change, 100)
	n, _, err := p.registry.Changes(1, into)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range into[:n] {
		name := c.ID().Name()
		if c.Describe().GetPhase() == dataplanev1alpha1.Phase_PHASE_CLOSING && !slices.Contains(closed, name) {
			closed = append(closed, name)
		}
	}
	if want := slices.Concat(idle, talked); !slices.Equal(closed, want) {
		t.Errorf("closed %q, want %q", closed, want)
	}
}

// How far it is can be seen all the time: who is left, and that they are closing.
func TestTheProgressOfADrainCanBeRead(t *testing.T) {
	t.Parallel()
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	deaf := deafClient(t, p.url)
	echoing(backend.next(t))
	eventually(t, "it is open", func() bool { return p.phase() == dataplanev1alpha1.Phase_PHASE_OPEN })
	// It has an hour to answer its close frame, so it is there until it does.
	if err := p.only().Disconnect(registry.Disconnect{Code: 4001, Reason: "bye", Grace: time.Hour}); err != nil {
		t.Fatal(err)
	}
	willing := p.dial(nil)
	echoing(backend.next(t))
	select {
	case <-p.server.Draining():
		t.Fatal("it drains before it was told to")
	default:
	}
	drained := make(chan error, 1)
	go func() { drained <- p.server.Drain(t.Context()) }()
	<-p.server.Draining()
	receiveClose(t, willing, websocket.CloseServiceRestart)
	eventually(t, "one of two is gone", func() bool { return p.registry.Len() == 1 })
	if got := p.only().Describe(); got.GetPhase() != dataplanev1alpha1.Phase_PHASE_CLOSING || got.GetClosingSince() == nil {
		t.Errorf("the one that is left is %v, closing since %v", got.GetPhase(), got.GetClosingSince())
	}
	select {
	case err := <-drained:
		t.Fatalf("over while a connection is left: %v", err)
	default:
	}
	_ = deaf.SetDeadline(time.Now().Add(patience))
	frames, _ := heardAnd(deaf, func() { _, _ = deaf.Write(frameOf("client", true, wire.Close, "\x0f\xa1")) })
	if !slices.Equal(frames, []string{"close 4001 bye"}) {
		t.Errorf("the client that did not answer got %q", frames)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if n := p.registry.Len(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestADrainThatIsCutShortStillSaysGoodbye(t *testing.T) {
	t.Parallel()
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Drain.TimeoutSeconds = 3600
	p := startProxy(t, snap)
	var clients []*websocket.Conn
	for range 10 {
		clients = append(clients, p.dial(nil))
		echoing(backend.next(t))
	}
	// One that never answers is not waited for.
	_ = deafClient(t, p.url)
	echoing(backend.next(t))
	ctx, cutShort := context.WithCancel(t.Context())
	drained := make(chan error, 1)
	go func() { drained <- p.server.Drain(ctx) }()
	<-p.server.Draining()
	cutShort()
	for _, client := range clients {
		receiveClose(t, client, websocket.CloseServiceRestart)
	}
	if err := <-drained; !errors.Is(err, context.Canceled) {
		t.Errorf("Drain returned %v", err)
	}
	if n := p.registry.Len(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}
