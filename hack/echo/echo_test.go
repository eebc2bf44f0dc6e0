// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server and returns how to reach it.
func serve(t *testing.T) (*connections, string) {
	t.Helper()
	c := newConnections("echo-1")
	server := httptest.NewServer(c.handler())
	t.Cleanup(server.Close)
	return c, "ws" + strings.TrimPrefix(server.URL, "http")
}

func dial(t *testing.T, url string) (*websocket.Conn, *http.Response) {
	t.Helper()
	conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), url, nil)
	if err != nil {
		t.Fatalf("dial %s: %v", url, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, response
}

func say(t *testing.T, conn *websocket.Conn, kind int, text string) {
	t.Helper()
	if err := conn.WriteMessage(kind, []byte(text)); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func hear(t *testing.T, conn *websocket.Conn, kind int, text string) {
	t.Helper()
	gotKind, got, err := conn.ReadMessage()
	if err != nil {
		t.Fatalf("read, waiting for %q: %v", text, err)
	}
	if gotKind != kind || string(got) != text {
		t.Fatalf("heard %q (type %d), want %q (type %d)", got, gotKind, text, kind)
	}
}

func hearClose(t *testing.T, conn *websocket.Conn, code int) {
	t.Helper()
	_, _, err := conn.ReadMessage()
	if !websocket.IsCloseError(err, code) {
		t.Fatalf("read ended with %v, want close code %d", err, code)
	}
}

func TestTextAndBinaryAreAnsweredWithThemselves(t *testing.T) {
	_, url := serve(t)
	conn, response := dial(t, url+"/any/path")
	if name := response.Header.Get("X-Echo-Name"); name != "echo-1" {
		t.Errorf("X-Echo-Name is %q, want echo-1", name)
	}
	say(t, conn, websocket.TextMessage, "héllo")
	hear(t, conn, websocket.TextMessage, "héllo")
	say(t, conn, websocket.BinaryMessage, "\x00\xff")
	hear(t, conn, websocket.BinaryMessage, "\x00\xff")
}

func TestGoodbyeAnswersWhatHasArrivedBeforeItCloses(t *testing.T) {
	c, url := serve(t)
	// The answers are slow, so most messages are still unread when the server
	// begins to leave.
	conn, _ := dial(t, url+"?delay=5ms")
	const messages = 50
	for i := range messages {
		say(t, conn, websocket.TextMessage, fmt.Sprint(i))
	}
	left := make(chan error, 1)
	go func() { left <- c.goodbye(t.Context()) }()
	for i := range messages {
		hear(t, conn, websocket.TextMessage, fmt.Sprint(i))
	}
	hearClose(t, conn, websocket.CloseGoingAway)
	if err := <-left; err != nil {
		t.Errorf("goodbye: %v", err)
	}
	if n := c.unanswered.Load(); n != 0 {
		t.Errorf("%d messages were not answered", n)
	}
}

func TestGoodbyeClosesASilentConnection(t *testing.T) {
	c, url := serve(t)
	conn, _ := dial(t, url)
	left := make(chan error, 1)
	go func() { left <- c.goodbye(t.Context()) }()
	hearClose(t, conn, websocket.CloseGoingAway)
	if err := <-left; err != nil {
		t.Errorf("goodbye: %v", err)
	}
}

func TestGoodbyeLeavesAPeerThatNeverPauses(t *testing.T) {
	c, url := serve(t)
	conn, _ := dial(t, url)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for conn.WriteMessage(websocket.TextMessage, []byte("x")) == nil {
		}
	}()
	hear(t, conn, websocket.TextMessage, "x")
	left := make(chan error, 1)
	go func() { left <- c.goodbye(t.Context()) }()
	var err error
	for err == nil {
		_, _, err = conn.ReadMessage()
	}
	if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("read ended with %v, want close code 1001", err)
	}
	_ = conn.Close()
	<-over
	if err := <-left; err != nil {
		t.Errorf("goodbye: %v", err)
	}
}

func TestGoodbyeDoesNotWaitForEver(t *testing.T) {
	c, url := serve(t)
	conn, _ := dial(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.goodbye(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("goodbye returned %v, want %v", err, context.Canceled)
	}
	_ = conn.Close()
}

func TestNobodyIsLetInAfterGoodbye(t *testing.T) {
	c, url := serve(t)
	if err := c.goodbye(t.Context()); err != nil {
		t.Fatalf("goodbye: %v", err)
	}
	_, response, err := websocket.DefaultDialer.DialContext(t.Context(), url, nil)
	if err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("handshake ended with %v, want status 503", err)
	}
}

func TestBehaviorThatIsAskedFor(t *testing.T) {
	_, url := serve(t)
	t.Run("a refusal", func(t *testing.T) {
		_, response, err := websocket.DefaultDialer.DialContext(t.Context(), url+"?status=403", nil)
		if err == nil || response.StatusCode != http.StatusForbidden {
			t.Errorf("handshake ended with %v, want status 403", err)
		}
	})
	t.Run("a close", func(t *testing.T) {
		conn, _ := dial(t, url+"?close=4000&after=2")
		for range 2 {
			say(t, conn, websocket.TextMessage, "x")
			hear(t, conn, websocket.TextMessage, "x")
		}
		hearClose(t, conn, 4000)
	})
	t.Run("a delay", func(t *testing.T) {
		conn, _ := dial(t, url+"?delay=50ms")
		start := time.Now()
		say(t, conn, websocket.TextMessage, "x")
		hear(t, conn, websocket.TextMessage, "x")
		if waited := time.Since(start); waited < 50*time.Millisecond {
			t.Errorf("the answer came after %v, want 50 ms or more", waited)
		}
	})
}

func TestUnusableBehaviorIsRefused(t *testing.T) {
	for _, query := range []string{"delay=soon", "delay=-1s", "status=200", "status=x", "close=4000", "after=3", "close=999&after=1", "close=1000&after=0"} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := behaviorOf(values); err == nil {
			t.Errorf("%q was taken", query)
		}
	}
}
