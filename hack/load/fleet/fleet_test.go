// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// received is a message in the hands of a server under test.
type received struct {
	kind    int
	payload []byte
}

// serveAs starts a server that reads messages, numbers them from 0, and gives
// each to answer, which returns what to send back. It ends a connection whose
// answer returns a close code.
func serveAs(t *testing.T, answer func(n int, m received) (back []received, code int)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{}
		conn, err := upgrader.Upgrade(w, r, http.Header{HeaderConnectionID: {"pod-a-1"}})
		if err != nil {
			return
		}
		defer conn.Close()
		for n := 0; ; n++ {
			kind, payload, err := conn.ReadMessage()
			if err != nil {
				return
			}
			back, code := answer(n, received{kind, payload})
			for _, b := range back {
				if conn.WriteMessage(b.kind, b.payload) != nil {
					return
				}
			}
			if code != 0 {
				_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, "as tested"), time.Now().Add(time.Second))
				_, _, _ = conn.ReadMessage()
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// talkTo lets clients talk until each was heard at least ten times, and reports.
func talkTo(t *testing.T, url string) *Report {
	t.Helper()
	f, err := Start(t.Context(), Options{URL: url, Connections: 3, Rate: 200, Size: 100, Settle: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	deadline, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := f.Opened(deadline); err != nil {
		t.Fatal(err)
	}
	for enough := false; !enough && deadline.Err() == nil; {
		time.Sleep(10 * time.Millisecond)
		enough = true
		for _, r := range f.Report().Records {
			enough = enough && (r.Sent >= 10 || !r.Closed.IsZero())
		}
	}
	return f.Stop(t.Context())
}

func TestAnHonestEchoLeavesACleanRecord(t *testing.T) {
	r := talkTo(t, serveAs(t, func(_ int, m received) ([]received, int) { return []received{m}, 0 }))
	if err := errors.Join(r.CheckOpen(), r.CheckAll()); err != nil {
		t.Error(err)
	}
	if r.Totals.Opened != 3 || r.Totals.Received < 30 || r.Totals.Received != r.Totals.Sent {
		t.Errorf("totals are %+v", r.Totals)
	}
	if r.Pods["pod-a"] != 3 {
		t.Errorf("connections by pod are %v, want 3 of pod-a", r.Pods)
	}
	for _, record := range r.Records {
		if record.Code != websocket.CloseNormalClosure || record.Early || record.LastReceived.IsZero() {
			t.Errorf("record is %+v, want an end with 1000", record)
		}
	}
}

func TestWhatAServerDoesToMessagesIsReported(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(n int, m received) ([]received, int)
		count  func(Totals) uint64
	}{
		{"drops", func(n int, m received) ([]received, int) {
			if n == 4 {
				return nil, 0
			}
			return []received{m}, 0
		}, func(t Totals) uint64 { return min(t.Missing, t.Overtaken) }},
		{"drops the rest", func(n int, m received) ([]received, int) {
			if n >= 4 {
				return nil, 0
			}
			return []received{m}, 0
		}, func(t Totals) uint64 { return min(t.Missing, t.Outstanding) }},
		{"doubles", func(n int, m received) ([]received, int) {
			if n == 4 {
				return []received{m, m}, 0
			}
			return []received{m}, 0
		}, func(t Totals) uint64 { return t.Duplicated }},
		{"damages", func(n int, m received) ([]received, int) {
			if n == 4 {
				m.payload[len(m.payload)-1] ^= 1
			}
			return []received{m}, 0
		}, func(t Totals) uint64 { return min(t.Foreign, t.Missing) }},
		{"cuts", func(n int, m received) ([]received, int) {
			if n == 4 {
				m.payload = m.payload[:50]
			}
			return []received{m}, 0
		}, func(t Totals) uint64 { return min(t.Foreign, t.Missing) }},
		{"takes text for binary", func(n int, m received) ([]received, int) {
			if n == 4 {
				m.kind = websocket.BinaryMessage
			}
			return []received{m}, 0
		}, func(t Totals) uint64 { return min(t.Foreign, t.Missing) }},
		{"gives one to another client", func(n int, m received) ([]received, int) {
			if n == 4 {
				other, _ := parse(m.kind, m.payload, 100)
				other.connection++
				m.payload = other.payload(100)
			}
			return []received{m}, 0
		}, func(t Totals) uint64 { return min(t.Foreign, t.Missing) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := talkTo(t, serveAs(t, test.answer))
			if n := test.count(r.Totals); n < 3 {
				t.Errorf("found %d, want one of each of 3 clients; totals are %+v", n, r.Totals)
			}
			if err := r.CheckAll(); !errors.Is(err, ErrLost) {
				t.Errorf("CheckAll returned %v, want %v", err, ErrLost)
			}
			if err := r.CheckOpen(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMessagesThatChangePlacesAreReported(t *testing.T) {
	holding := make(chan received, 1)
	url := serveAs(t, func(n int, m received) ([]received, int) {
		switch n {
		case 4:
			holding <- m
			return nil, 0
		case 5:
			return []received{m, <-holding}, 0
		default:
			return []received{m}, 0
		}
	})
	f, err := Start(t.Context(), Options{URL: url, Connections: 1, Rate: 200, Size: 100, Settle: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for f.Totals().Sent < 10 && t.Context().Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	r := f.Stop(t.Context())
	if r.Totals.OutOfOrder != 1 || r.Totals.Missing != 0 {
		t.Errorf("totals are %+v, want 1 out of order and none missing", r.Totals)
	}
	if err := r.CheckAll(); !errors.Is(err, ErrLost) {
		t.Errorf("CheckAll returned %v, want %v", err, ErrLost)
	}
}

func TestAnEarlyEndIsReportedWithItsCode(t *testing.T) {
	r := talkTo(t, serveAs(t, func(n int, m received) ([]received, int) {
		if n == 4 {
			return []received{m}, websocket.CloseServiceRestart
		}
		return []received{m}, 0
	}))
	if err := r.CheckOpen(); !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "1012") {
		t.Errorf("CheckOpen returned %v, want %v with code 1012", err, ErrClosed)
	}
	for _, record := range r.Records {
		if !record.Early || record.Code != websocket.CloseServiceRestart || record.Reason != "as tested" {
			t.Errorf("record is %+v, want an early end with 1012", record)
		}
	}
}

func TestARefusedHandshakeIsReported(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	f, err := Start(t.Context(), Options{URL: "ws" + strings.TrimPrefix(server.URL, "http"), Connections: 2, Rate: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Opened(t.Context()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("Opened returned %v, want the status 404", err)
	}
	r := f.Stop(t.Context())
	if err := r.CheckOpen(); !errors.Is(err, ErrClosed) || r.Totals.Failed != 2 {
		t.Errorf("CheckOpen returned %v with %d failed, want %v with 2", err, r.Totals.Failed, ErrClosed)
	}
}

func TestPingsAreCountedAndAnswered(t *testing.T) {
	ponged := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetPongHandler(func(data string) error { ponged <- data; return nil })
		_ = conn.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(time.Second))
		_, _, _ = conn.ReadMessage()
	}))
	t.Cleanup(server.Close)
	f, err := Start(t.Context(), Options{URL: "ws" + strings.TrimPrefix(server.URL, "http"), Connections: 1})
	if err != nil {
		t.Fatal(err)
	}
	if data := <-ponged; data != "are you there" {
		t.Errorf("pong carries %q", data)
	}
	if r := f.Stop(t.Context()); r.Totals.Pings != 1 || r.Records[0].Pings != 1 {
		t.Errorf("pings are %d, want 1", r.Totals.Pings)
	}
}

func TestAPeerThatNeverClosesIsCut(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		<-release
		_ = conn.Close()
	}))
	t.Cleanup(server.Close)
	defer close(release)
	f, err := Start(t.Context(), Options{URL: "ws" + strings.TrimPrefix(server.URL, "http"), Connections: 2, Rate: 100, Settle: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Opened(t.Context()); err != nil {
		t.Fatal(err)
	}
	for f.Totals().Sent == 0 && t.Context().Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	r := f.Stop(t.Context())
	if r.Totals.Missing == 0 || r.Totals.Missing != r.Totals.Sent {
		t.Errorf("missing %d of %d, want all", r.Totals.Missing, r.Totals.Sent)
	}
	for _, record := range r.Records {
		if record.Code != websocket.CloseAbnormalClosure || record.Early {
			t.Errorf("record is %+v, want an end of ours without a close frame", record)
		}
	}
}

func TestUnusableOptionsAreRefused(t *testing.T) {
	for name, options := range map[string]Options{
		"url: scheme": {URL: "http://127.0.0.1/", Connections: 1},
		"url":         {URL: "ws://%", Connections: 1},
		"connections": {URL: "ws://127.0.0.1/"},
		"rate":        {URL: "ws://127.0.0.1/", Connections: 1, Rate: -1},
	} {
		if _, err := Start(t.Context(), options); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: Start returned %v", name, err)
		}
	}
}
