// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestRefusalIsTheSameThroughServerAndRawConnection(t *testing.T) {
	refusal := upgradeRequired(ReasonNotWebSocket, "this is a WebSocket endpoint")
	recorder := httptest.NewRecorder()
	refusal.Write(recorder)

	var raw bytes.Buffer
	if _, err := refusal.WriteTo(&raw); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(raw.Bytes(), []byte("\r\nConnection: Upgrade, close\r\n")) {
		t.Errorf("Connection is not upgrade and close:\n%s", raw.Bytes())
	}
	hijacked, err := http.ReadResponse(bufio.NewReader(&raw), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hijacked.Body.Close() }()
	for _, response := range []*http.Response{recorder.Result(), hijacked} {
		body, err := io.ReadAll(response.Body)
		if err != nil || string(body) != "this is a WebSocket endpoint\n" || response.ContentLength != int64(len(body)) {
			t.Errorf("body %q, length %d, error %v", body, response.ContentLength, err)
		}
		if response.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("status %d", response.StatusCode)
		}
		for name, want := range map[string]string{
			"Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store",
		} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
}

func TestRefuseForRoundsUpToSeconds(t *testing.T) {
	for after, want := range map[time.Duration]string{0: "1", time.Millisecond: "1", time.Second: "1", 1001 * time.Millisecond: "2"} {
		if got := RefuseFor(http.StatusServiceUnavailable, ReasonMaxConnections, after, "full").Header.Get("Retry-After"); got != want {
			t.Errorf("%v: Retry-After is %q, want %q", after, got, want)
		}
	}
}

// timed is a ResponseWriter that takes a deadline, as net/http's does.
type timed struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (w *timed) SetWriteDeadline(t time.Time) error {
	if w.Body.Len() == 0 { // Later it is too late.
		w.deadline = t
	}
	return nil
}

func TestARefusalWaitsForNoClientForEver(t *testing.T) {
	w := &timed{ResponseRecorder: httptest.NewRecorder()}
	Refuse(http.StatusNotFound, ReasonPathNotServed, "nothing here").Write(w)
	if left := time.Until(w.deadline); left <= 0 || left > writeTimeout {
		t.Errorf("a client that reads nothing has %v, want up to %v", left, writeTimeout)
	}
}
