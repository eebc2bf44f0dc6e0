// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"bufio"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/wsproxy/wsproxy/dataplane/config"
)

// FuzzRequest holds that whatever Check lets through is one handshake, for
// net/http and for gorilla: it is passed on as one request of which nothing spills
// over, with its target, and with the fields that are the client's as they were.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		opening,
		strings.Replace(opening, "/chat", "/a%2Fb?x=%20y", 1) + "Cookie: a=b\nSec-WebSocket-Protocol: chat, superchat\n",
		opening + "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\nX-Forwarded-For: 1.2.3.4\n",
		opening + "Connection: keep-alive, X-Own\nX-Own: 1\nTE: trailers\n",
		opening + "Content-Length: 5\n\nhello",
		opening + "Transfer-Encoding: chunked\n\n0\n\nGET /smuggled HTTP/1.1\nHost: x\n",
		strings.Replace(opening, "GET /chat", "GET http://other/x", 1),
		opening + "X-Folded: a\n b\n",
		opening + "X-Bare: a\rb\n",
	} {
		f.Add(strings.ReplaceAll(seed, "\n", "\r\n") + "\r\n")
	}
	cfg := &config.Config{}
	f.Fuzz(func(t *testing.T, in string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(in)))
		if err != nil {
			return
		}
		r.RemoteAddr = "192.0.2.1:1234"
		if Check(r, cfg) != nil {
			return
		}
		head := NewHead(r, cfg, "pod-1")
		out, err := head.AppendRequest(nil, cfg)
		if err != nil {
			t.Fatalf("%q passes the check, and cannot be sent: %v", in, err)
		}
		rest := bufio.NewReader(strings.NewReader(string(out)))
		again, err := http.ReadRequest(rest)
		if err != nil {
			t.Fatalf("%q is sent as %q: %v", in, out, err)
		}
		if spilled, _ := io.ReadAll(rest); len(spilled) > 0 || again.ContentLength != 0 || len(again.TransferEncoding) > 0 {
			t.Fatalf("%q is sent as %q: %q spills over", in, out, spilled)
		}
		want, err := target(r.RequestURI)
		if err != nil || again.RequestURI != want || again.Host != r.Host || again.Method != http.MethodGet {
			t.Fatalf("%q is sent as %s %s for %s", in, again.Method, again.RequestURI, again.Host)
		}
		expectFields(t, in, r.Header, again.Header)
		if !websocket.IsWebSocketUpgrade(again) {
			t.Fatalf("%q is sent as %q, which is no handshake for gorilla", in, out)
		}
		recorder := httptest.NewRecorder()
		upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		// A recorder cannot be hijacked; that is the last thing that gorilla asks for.
		if _, err := upgrader.Upgrade(recorder, again, nil); err == nil || recorder.Code != http.StatusInternalServerError {
			t.Fatalf("%q is sent as %q, to which gorilla says %d: %v", in, out, recorder.Code, err)
		}
	})
}

// expectFields checks that the fields of the client that are for the upstream
// have arrived, and that none was made up but ours.
func expectFields(t *testing.T, in string, sent, got http.Header) {
	t.Helper()
	hop := sent.Clone()
	RemoveHopByHop(hop)
	for name := range hop {
		forwarding := name == "Forwarded" || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Websocket-")
		if forwarding || name == "Content-Length" || name == "X-Real-Ip" {
			continue
		}
		for i, value := range hop[name] {
			if i >= len(got[name]) || trim(got[name][i]) != trim(value) {
				t.Fatalf("%q: %s is %q, was %q", in, name, got[name], hop[name])
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		ours := name == "Upgrade" || name == "Connection" || name == "Forwarded" || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Websocket-")
		if _, ok := hop[name]; !ok && !ours {
			t.Fatalf("%q: %s is %q out of nothing", in, name, got[name])
		}
	}
}
