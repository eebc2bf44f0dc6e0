// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/gorilla/websocket"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// startSecured runs a proxy with TLS on both legs, and opens a client.
func startSecured(t *testing.T, settings func(*dataplanev1alpha1.Settings)) (*proxy, *backend, *websocket.Conn) {
	t.Helper()
	backend := startBackendWith(t, httptest.NewTLSServer)
	snap := snapshot(backend.url)
	snap.Upstream.Tls = &dataplanev1alpha1.UpstreamTLS{Ca: true}
	snap.Listen.Tls = true
	settings(snap.Settings)
	p := startProxy(t, snap)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: backend.http.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(p.secrets, dataplanev1alpha1.FileUpstreamCA), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // #nosec G402 -- the upstream's leg is what verifies here.
	client, _, err := dialer.DialContext(t.Context(), p.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return p, backend, client
}

func TestLargeMessagesCrossWithTLSOnBothLegs(t *testing.T) {
	_, backend, client := startSecured(t, func(*dataplanev1alpha1.Settings) {})
	up := backend.next(t)
	done := make(chan struct{})
	go func() { echo(up); close(done) }()
	message := bytes.Repeat([]byte("0123456789"), 100_000)
	for range 5 {
		if err := client.WriteMessage(websocket.BinaryMessage, message); err != nil {
			t.Fatal(err)
		}
		receive(t, client, string(message))
	}
	_ = client.Close()
	<-done
}

func TestWithTLSAClientIsHeldAndPingedAndDisconnected(t *testing.T) {
	p, backend, client := startSecured(t, func(s *dataplanev1alpha1.Settings) {
		s.AutoReconnect = true
		s.ConnectionLostTimeout = 1
	})
	up := backend.next(t)
	send(t, client, "one")
	receive(t, up, "one")
	_ = up.NetConn().(*tls.Conn).NetConn().Close() // without a close_notify
	p.held(0)
	for i := range 10 {
		send(t, client, fmt.Sprint(i))
	}
	up = backend.next(t)
	for i := range 10 {
		receive(t, up, fmt.Sprint(i))
	}
	var pings atomic.Int64
	answer := client.PingHandler()
	client.SetPingHandler(func(payload string) error { pings.Add(1); return answer(payload) })
	closed := make(chan error, 1)
	go func() { _, _, err := client.ReadMessage(); closed <- err }()
	go func() { _, _, _ = up.ReadMessage() }()
	// A ping wakes the reader of the other leg while TLS waits for a record.
	eventually(t, "three pings", func() bool { return pings.Load() >= 3 })
	if err := p.only().Disconnect(registry.Disconnect{Code: 4000, Reason: "bye"}); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; !websocket.IsCloseError(err, 4000) {
		t.Errorf("ended with %v, want 4000", err)
	}
}

// A connection that the event loop drives gets the other driver when its upstream
// comes back with TLS.
func TestAHeldClientFollowsItsUpstreamToTLS(t *testing.T) {
	plain, secured := startBackend(t), startBackendWith(t, httptest.NewTLSServer)
	snap := snapshot(plain.url)
	snap.Settings.AutoReconnect = true
	p := startProxy(t, snap)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secured.http.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(p.secrets, dataplanev1alpha1.FileUpstreamCA), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	client := p.dial(nil)
	up := plain.next(t)
	send(t, client, "one")
	receive(t, up, "one")
	p.apply(func(s *dataplanev1alpha1.Snapshot) {
		s.Upstream = &dataplanev1alpha1.Upstream{Url: secured.url, Tls: &dataplanev1alpha1.UpstreamTLS{Ca: true}}
		s.Settings.ConnectionLostTimeout = 3600
	})
	cut(up)
	p.held(0)
	send(t, client, "two")
	up = secured.next(t)
	receive(t, up, "two")
	send(t, up, "three")
	receive(t, client, "three")

	// And back: it stays with the driver that it has.
	p.apply(func(s *dataplanev1alpha1.Snapshot) { s.Upstream = &dataplanev1alpha1.Upstream{Url: plain.url} })
	_ = up.NetConn().(*tls.Conn).NetConn().Close()
	p.held(1)
	send(t, client, "four")
	up = plain.next(t)
	receive(t, up, "four")
	if err := p.only().Disconnect(registry.Disconnect{Code: 4000, Reason: "bye"}); err != nil {
		t.Fatal(err)
	}
	receiveClose(t, client, 4000)
	receiveClose(t, up, 4000)
	eventually(t, "it is gone", func() bool { return p.registry.Len() == 0 })
}
