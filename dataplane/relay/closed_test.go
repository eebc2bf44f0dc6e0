// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// closeWith sends a close frame and reads until it is answered.
func closeWith(t *testing.T, conn *websocket.Conn, code int, reason string) {
	t.Helper()
	if err := conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason)); err != nil {
		t.Fatal(err)
	}
}

// Who closed it, and why, is remembered in the words of log and metrics.
func TestHowAConnectionEndedIsRemembered(t *testing.T) {
	t.Parallel()
	type sides struct {
		p          *proxy
		client, up *websocket.Conn
	}
	for name, test := range map[string]struct {
		ends func(*testing.T, sides)
		want string
	}{
		"by the client": {func(t *testing.T, s sides) {
			closeWith(t, s.client, 4001, "see you\nlater")
			receiveClose(t, s.up, 4001)
			receiveClose(t, s.client, 4001)
		}, `Client ClientClose 4001 "see you�later"`},
		"by the client without a code": {func(t *testing.T, s sides) {
			closeWith(t, s.client, websocket.CloseNoStatusReceived, "")
			receiveClose(t, s.up, websocket.CloseNoStatusReceived)
			receiveClose(t, s.client, websocket.CloseNoStatusReceived)
		}, `Client ClientClose 1005 ""`},
		"by the upstream": {func(t *testing.T, s sides) {
			closeWith(t, s.up, 4002, "enough")
			receiveClose(t, s.client, 4002)
			receiveClose(t, s.up, 4002)
		}, `Upstream UpstreamClose 4002 "enough"`},
		"with the client's socket": {func(t *testing.T, s sides) {
			cut(s.client)
			receiveClose(t, s.up, websocket.CloseGoingAway)
		}, `Network ClientLost 1006 "client ended without a close frame"`},
		"with the upstream's socket": {func(t *testing.T, s sides) {
			cut(s.up)
			receiveClose(t, s.client, websocket.CloseServiceRestart)
		}, `Network UpstreamLost 1012 "upstream ended without a close frame"`},
		"by an administrator": {func(t *testing.T, s sides) {
			if err := s.p.only().Disconnect(registry.Disconnect{Code: 1000, Reason: "maintenance", Grace: patience}); err != nil {
				t.Fatal(err)
			}
			receiveClose(t, s.client, 1000)
			receiveClose(t, s.up, 1000)
		}, `Admin Disconnected 1000 "maintenance"`},
		"by limits.maxMessageBytes": {func(t *testing.T, s sides) {
			s.p.limit(func(l *dataplanev1alpha1.Limits) { l.MaxMessageBytes = 10 })
			send(t, s.client, "0123456789x")
			receiveClose(t, s.client, websocket.CloseMessageTooBig)
			receiveClose(t, s.up, websocket.CloseGoingAway)
		}, `Proxy MessageTooBig 1009 "message too big"`},
		"by limits.maxConnectionAgeSeconds": {func(t *testing.T, s sides) {
			s.p.limit(func(l *dataplanev1alpha1.Limits) { l.MaxConnectionAgeSeconds = 1 })
			receiveClose(t, s.client, websocket.CloseGoingAway)
			receiveClose(t, s.up, websocket.CloseGoingAway)
		}, `Proxy MaxAge 1001 "maximum connection age reached"`},
		"with the pod": {func(t *testing.T, s sides) {
			drained := make(chan error, 1)
			go func() { drained <- s.p.server.Drain(t.Context()) }()
			receiveClose(t, s.client, websocket.CloseServiceRestart)
			receiveClose(t, s.up, websocket.CloseServiceRestart)
			if err := <-drained; err != nil {
				t.Error(err)
			}
		}, `Proxy Drained 1012 "the proxy is going away"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := startBackend(t)
			p := startProxy(t, snapshot(backend.url))
			began := time.Now()
			s := sides{p: p, client: p.dial(http.Header{"User-Agent": {"test/1.0"}}), up: backend.next(t)}
			send(t, s.up, "hello")
			receive(t, s.client, "hello")
			id := p.only().ID()
			if p.registry.GetClosed(id.Name()) != nil {
				t.Error("one that lives is among those that have ended")
			}
			test.ends(t, s)
			eventually(t, "it has ended", func() bool { return p.registry.GetClosed(id.Name()) != nil })
			c := p.registry.GetClosed(id.Name()).Describe()
			end := c.GetEnd()
			if got := fmt.Sprintf("%s %s %d %q", end.GetBy(), end.GetCause(), end.GetCode(), end.GetReason()); got != test.want {
				t.Errorf("it ended by %s, want %s", got, test.want)
			}
			if at := end.GetAt().AsTime(); at.Before(c.GetConnectedAt().AsTime()) || at.Before(began.Truncate(time.Microsecond)) || at.After(time.Now()) {
				t.Errorf("it ended at %v, connected at %v", at, c.GetConnectedAt().AsTime())
			}
			if c.GetUid() != id.UID() || c.GetPath() != "/chat" || c.GetUserAgent() != "test/1.0" || c.GetFromUpstream().GetMessages() != 1 {
				t.Errorf("it was %v", c)
			}
			if was := c.GetUpstream() + end.GetUpstream(); was != address(backend) {
				t.Errorf("its upstream was %q, want %q", was, address(backend))
			}
		})
	}
}

func TestWhatWasNeverOpenedHasNoEnd(t *testing.T) {
	backend := startBackend(t)
	backend.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	p := startProxy(t, snapshot(backend.url))
	if _, response, err := websocket.DefaultDialer.DialContext(t.Context(), p.url, nil); err == nil || response.StatusCode != http.StatusForbidden {
		t.Fatalf("answered %v, %v", response, err)
	}
	eventually(t, "it is gone", func() bool { return p.registry.Len() == 0 })
	if page, remaining := p.registry.ClosedAfter("", 10); len(page)+remaining != 0 {
		t.Errorf("%d have ended", len(page)+remaining)
	}
}
