// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"net"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// An endpoint that refuses connections has none, so it always is the one with the
// fewest: who goes by that alone never gets to the one that works.
func TestAReconnectGoesFromADeadEndpointToTheNext(t *testing.T) {
	lost, works := startBackend(t), startBackend(t)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := dead.Addr().String()
	_ = dead.Close()

	endpoint := func(url string) *dataplanev1alpha1.Endpoint {
		return &dataplanev1alpha1.Endpoint{Address: strings.TrimPrefix(url, "ws://")}
	}
	snap := snapshot("")
	snap.Settings.AutoReconnect = true
	snap.Settings.AutoReconnectMaxRetries = 4
	snap.Settings.MaxRetries = 3
	snap.Upstream = &dataplanev1alpha1.Upstream{Service: true, Endpoints: []*dataplanev1alpha1.Endpoint{endpoint(lost.url)}}
	p := startProxy(t, snap)
	client := p.dial(nil)
	first := lost.next(t)

	// From here on one endpoint is dead, and the other has connections.
	p.apply(func(s *dataplanev1alpha1.Snapshot) {
		s.Upstream.Endpoints = []*dataplanev1alpha1.Endpoint{endpoint(works.url)}
	})
	for range 3 {
		p.dial(nil)
		works.next(t)
	}
	p.apply(func(s *dataplanev1alpha1.Snapshot) {
		s.Upstream.Endpoints = []*dataplanev1alpha1.Endpoint{endpoint(lost.url), endpoint(refusing), endpoint(works.url)}
	})
	_ = lost.http.Listener.Close()
	cut(first)
	works.next(t)
	if err := client.WriteMessage(websocket.TextMessage, []byte("held")); err != nil {
		t.Errorf("the client was closed: %v", err)
	}
}

// Where a pod was, packets may go nowhere: who waits there for an answer learns from
// the configuration that there is nobody left.
func TestAnAttemptIsGivenUpWhereItsEndpointIsGone(t *testing.T) {
	lost, works := startBackend(t), startBackend(t)
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	endpoints := func(addresses ...string) func(*dataplanev1alpha1.Snapshot) {
		return func(s *dataplanev1alpha1.Snapshot) {
			s.Upstream.Endpoints = nil
			for _, a := range addresses {
				s.Upstream.Endpoints = append(s.Upstream.Endpoints, &dataplanev1alpha1.Endpoint{Address: strings.TrimPrefix(a, "ws://")})
			}
		}
	}
	snap := snapshot("")
	snap.Settings.ConnectTimeout = 3600
	snap.Settings.MaxRetries = 1
	snap.Settings.AutoReconnect = true
	snap.Settings.AutoReconnectMaxRetries = 4
	snap.Upstream = &dataplanev1alpha1.Upstream{Service: true}
	endpoints(lost.url)(snap)
	p := startProxy(t, snap)

	held := p.dial(nil)
	first := lost.next(t)
	p.apply(endpoints(mute.Addr().String()))
	cut(first)
	reconnecting, err := mute.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer reconnecting.Close()
	opened := make(chan error, 1)
	go func() {
		conn, _, err := websocket.DefaultDialer.Dial(p.url, nil)
		if err == nil {
			defer conn.Close()
		}
		opened <- err
	}()
	opening, err := mute.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer opening.Close()

	// While there is no other, it may be there and slow.
	p.apply(endpoints())
	p.apply(endpoints(works.url))
	works.next(t)
	works.next(t)
	if err := <-opened; err != nil {
		t.Errorf("the new client: %v", err)
	}
	if err := held.WriteMessage(websocket.TextMessage, []byte("held")); err != nil {
		t.Errorf("the client that was held: %v", err)
	}
}
