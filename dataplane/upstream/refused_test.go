// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

func refusedBy(ctx context.Context, t *testing.T, address string) *Refused {
	t.Helper()
	_, err := NewDialer("").Dial(ctx, at(address), clientHead(t, at(), ""))
	refused, ok := errors.AsType[*Refused](err)
	if !ok {
		t.Fatalf("%v; want a Refused", err)
	}
	t.Cleanup(refused.Close)
	return refused
}

// passOn gives a refusal to a client in both ways and returns what that reads:
// through net/http's server, and over a connection that was taken from it.
func passOn(t *testing.T, address string) map[string]*http.Response {
	t.Helper()
	responses := map[string]*http.Response{}

	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refused := refusedBy(r.Context(), t, address)
		if err := refused.Write(w); err != nil {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(front.Close)
	conn, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if responses["server"], err = http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
		t.Fatal(err)
	}

	var raw bytes.Buffer
	n, err := refusedBy(patient(t), t, address).WriteTo(&raw)
	if n == 0 || err == nil && !strings.Contains(raw.String(), "Connection: close\r\n") {
		t.Fatalf("wrote %d bytes, %v: %s", n, err, raw.String())
	}
	if responses["raw"], err = http.ReadResponse(bufio.NewReader(&raw), nil); err != nil {
		t.Fatal(err)
	}
	return responses
}

func TestRefusalReachesTheClientUnchanged(t *testing.T) {
	address := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/problem+json")
		h.Set("WWW-Authenticate", `Bearer realm="x"`)
		h["Set-Cookie"] = []string{"a=b", "c=d"}
		h.Set("Retry-After", "7")
		h.Set("Keep-Alive", "timeout=5")
		h.Set("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"title":"no"}`)
	})
	for way, response := range passOn(t, address) {
		body, err := io.ReadAll(response.Body)
		if err != nil || string(body) != `{"title":"no"}` || response.StatusCode != 401 || response.ContentLength != 14 {
			t.Errorf("%s: %d %q, length %d, %v", way, response.StatusCode, body, response.ContentLength, err)
		}
		want := http.Header{
			"Content-Type": {"application/problem+json"}, "Www-Authenticate": {`Bearer realm="x"`}, "Set-Cookie": {"a=b", "c=d"},
			"Retry-After": {"7"}, "Content-Length": {"14"}, "Date": {"Sun, 06 Nov 1994 08:49:37 GMT"},
		}
		if !reflect.DeepEqual(response.Header, want) {
			t.Errorf("%s: header %v, want %v", way, response.Header, want)
		}
	}
}

func TestRefusalsHopByHopFieldsStayBehind(t *testing.T) {
	address := answering(t, always("HTTP/1.1 403 Go Away\r\nConnection: close, X-Private\r\nX-Private: 1\r\nProxy-Authenticate: Basic\r\n"+
		"Upgrade: h2c\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nX-Kept: 2\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"), nil)
	for way, response := range passOn(t, address) {
		body, err := io.ReadAll(response.Body)
		if err != nil || string(body) != "abc" {
			t.Errorf("%s: body %q, %v", way, body, err)
		}
		if want := (http.Header{"X-Kept": {"2"}}); !reflect.DeepEqual(response.Header, want) {
			t.Errorf("%s: header %v, want %v", way, response.Header, want)
		}
		if way == "raw" && response.Status != "403 Go Away" {
			t.Errorf("reason: %s", response.Status)
		}
	}
}

func TestRefusalKeepsItsCoding(t *testing.T) {
	address := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusForbidden)
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, "no")
		_ = z.Close()
	})
	for way, response := range passOn(t, address) {
		z, err := gzip.NewReader(response.Body)
		if err != nil || response.Header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: %v, %v", way, response.Header, err)
		}
		if body, err := io.ReadAll(z); err != nil || string(body) != "no" {
			t.Errorf("%s: %q, %v", way, body, err)
		}
	}
}

func TestUpgradeRequiredKeepsItsUpgrade(t *testing.T) {
	address := answering(t, always("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\nContent-Length: 0\r\n\r\n"), nil)
	for way, response := range passOn(t, address) {
		if response.Header.Get("Upgrade") != "websocket" || response.Header.Get("Sec-WebSocket-Version") != "8" {
			t.Errorf("%s: %v", way, response.Header)
		}
	}
}

func TestRefusalWithoutBody(t *testing.T) {
	address := answering(t, always("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), untilClosed)
	for way, response := range passOn(t, address) {
		if body, err := io.ReadAll(response.Body); err != nil || len(body) > 0 || response.StatusCode != 204 || len(response.Header) > 0 {
			t.Errorf("%s: %d %v %q, %v", way, response.StatusCode, response.Header, body, err)
		}
	}
}

func TestTruncatedRefusalIsTruncatedForTheClient(t *testing.T) {
	for name, answer := range map[string]string{
		"by length": "HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nabc",
		"by chunks": "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc",
	} {
		t.Run(name, func(t *testing.T) {
			for way, response := range passOn(t, answering(t, always(answer), nil)) {
				if body, err := io.ReadAll(response.Body); err == nil {
					t.Errorf("%s: %q looks complete", way, body)
				}
			}
		})
	}
}

func TestRefusalEndsWithItsContext(t *testing.T) {
	closed := make(chan struct{})
	address := answering(t, always("HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nabc"), func(conn net.Conn) {
		untilClosed(conn)
		close(closed)
	})
	ctx, cancel := context.WithCancel(patient(t))
	refused := refusedBy(ctx, t, address)
	if refused.Address != address {
		t.Errorf("address is %s, want %s", refused.Address, address)
	}
	cancel()
	if body, err := io.ReadAll(refused.Body); err == nil {
		t.Errorf("%q looks complete", body)
	}
	<-closed
}

func TestRefusalsBodyIsBoundedInTime(t *testing.T) {
	refused := refusedBy(patient(t), t, answering(t, always("HTTP/1.1 403 Forbidden\r\n\r\nabc"), untilClosed))
	refused.Body.(*body).within(50 * time.Millisecond)
	if got, err := io.ReadAll(refused.Body); string(got) != "abc" || !IsTimeout(err) {
		t.Errorf("read %q, %v; want a timeout", got, err)
	}
}

func TestKeptRefusalNeedsNoUpstream(t *testing.T) {
	for _, test := range []struct {
		name, answer, body, kind string
	}{
		{"with a length", "Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc", "abc", "text/plain"},
		{"to the end", "Content-Type: text/plain\r\n\r\nabc", "abc", "text/plain"},
		{"in chunks", "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", "text/plain"},
		{"too large", "Content-Type: text/plain\r\n\r\n" + strings.Repeat("x", keepBytes+1), "", ""},
		{"truncated", "Content-Type: text/plain\r\nContent-Length: 9\r\n\r\nabc", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			refused := refusedBy(patient(t), t, answering(t, always("HTTP/1.1 503 Service Unavailable\r\n"+test.answer), nil))
			refused.keep()
			var raw bytes.Buffer
			if _, err := refused.WriteTo(&raw); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(&raw), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			if err != nil || string(body) != test.body || response.ContentLength != int64(len(test.body)) || response.Header.Get("Content-Type") != test.kind {
				t.Errorf("%v %q, %v", response.Header, body, err)
			}
		})
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

func TestAnUpstreamsRefusalWaitsForNoClientForEver(t *testing.T) {
	refused := &Refused{Status: http.StatusForbidden, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("no")), ContentLength: 2}
	w := &timed{ResponseRecorder: httptest.NewRecorder()}
	if err := refused.Write(w); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(w.deadline); left <= 0 || left > bodyTimeout {
		t.Errorf("a client that reads nothing has %v, want up to %v", left, bodyTimeout)
	}
}
