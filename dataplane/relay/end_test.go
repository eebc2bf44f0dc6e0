// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

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
