// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"cmp"
	"net/http"
	"strings"
	"testing"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// reasons are those that a status has most often.
var reasons = map[int]Reason{
	400: ReasonMalformed, 403: ReasonOriginNotAllowed, 404: ReasonPathNotServed, 426: ReasonNotWebSocket, 505: ReasonUnsupportedVersion,
}

func TestCheckRefusesWhatIsNoHandshake(t *testing.T) {
	for _, c := range []struct {
		name    string
		replace []string // pairs of old and new text of the opening
		add     string
		status  int // 0: not refused
		says    string
		reason  Reason // empty: what the status says
	}{
		{name: "the example of RFC 6455"},
		{name: "tokens in any case and in lists", replace: []string{"Upgrade: websocket", "Upgrade: h2c, WebSocket", "Connection: Upgrade", "Connection: keep-alive,\tUPGRADE"}},
		{name: "Connection in two lines", replace: []string{"Connection: Upgrade", "Connection: keep-alive\nConnection: upgrade"}},
		{name: "absolute form", replace: []string{"GET /chat", "GET http://server.example.com/chat"}},
		{name: "Content-Length of zero", add: "Content-Length: 0\n"},

		{name: "plain request", replace: []string{"Upgrade: websocket\n", "", "Connection: Upgrade\n", ""}, status: 426, says: "WebSocket"},
		{name: "plain HTTP/1.0 request", replace: []string{"HTTP/1.1", "HTTP/1.0", "Upgrade: websocket\n", ""}, status: 426, says: "WebSocket"},
		{name: "plain POST", replace: []string{"GET ", "POST ", "Upgrade: websocket\n", ""}, status: 426, says: "WebSocket"},
		{name: "upgrade to something else", replace: []string{"Upgrade: websocket", "Upgrade: h2c"}, status: 426, says: "WebSocket"},
		{name: "part of a token", replace: []string{"Upgrade: websocket", "Upgrade: websocketx"}, status: 426, says: "WebSocket"},
		{name: "version 8", replace: []string{"Version: 13", "Version: 8"}, status: 426, says: "Sec-WebSocket-Version", reason: ReasonUnsupportedVersion},
		{name: "no version", replace: []string{"Sec-WebSocket-Version: 13\n", ""}, status: 426, says: "Sec-WebSocket-Version", reason: ReasonUnsupportedVersion},
		{name: "two versions", add: "Sec-WebSocket-Version: 13\n", status: 426, says: "Sec-WebSocket-Version", reason: ReasonUnsupportedVersion},
		{name: "HTTP/1.0", replace: []string{"HTTP/1.1", "HTTP/1.0"}, status: 505, says: "HTTP/1.0"},

		{name: "POST", replace: []string{"GET ", "POST "}, status: 400, says: "GET"},
		{name: "no upgrade in Connection", replace: []string{"Connection: Upgrade", "Connection: keep-alive"}, status: 400, says: "Connection"},
		{name: "no key", replace: []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n", ""}, status: 400, says: "Sec-WebSocket-Key"},
		{name: "two keys", add: "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n", status: 400, says: "Sec-WebSocket-Key"},
		{name: "short key", replace: []string{"dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ=="}, status: 400, says: "16 bytes"},
		{name: "key that is no base64", replace: []string{"dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ!=="}, status: 400, says: "base64"},
		{name: "body", add: "Content-Length: 5\n", status: 400, says: "body"},
		{name: "chunked body", add: "Transfer-Encoding: chunked\n", status: 400, says: "body"},
		{name: "empty Host", replace: []string{"Host: server.example.com", "Host:"}, status: 400, says: "Host"},
		{name: "two origins", add: "Origin: https://a.example\nOrigin: https://b.example\n", status: 400, says: "Origin"},

		{name: "dot segments", replace: []string{"/chat", "/chat/../admin"}, status: 400, says: "dot segments"},
		{name: "encoded dot segments", replace: []string{"/chat", "/chat/%2e%2E/admin"}, status: 400, says: "dot segments"},
		{name: "dot segments behind an encoded slash", replace: []string{"/chat", "/chat/x%2f..%2f..%2fadmin"}, status: 400, says: "dot segments"},
		{name: "dot segments behind a backslash", replace: []string{"/chat", `/chat/x%5c..`}, status: 400, says: "dot segments"},
		{name: "single dot", replace: []string{"/chat", "/./chat"}, status: 400, says: "dot segments"},
		{name: "dots that are none", replace: []string{"/chat", "/chat/...?back=../.."}},
		{name: "fragment", replace: []string{"/chat", "/chat#x"}, status: 400, says: "percent-encoded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.NewReplacer(c.replace...).Replace(opening) + c.add
			refusal := Check(parse(t, text, "192.0.2.1:5000"), compile(t, nil))
			expectRefusal(t, refusal, c.status, c.says)
			if refusal != nil && refusal.Reason != cmp.Or(c.reason, reasons[c.status]) {
				t.Errorf("the reason is %s", refusal.Reason)
			}
		})
	}
}

func expectRefusal(t *testing.T, refusal *Refusal, status int, says string) {
	t.Helper()
	if refusal == nil {
		if status != 0 {
			t.Fatalf("not refused, want %d", status)
		}
		return
	}
	if refusal.Status != status || !strings.Contains(refusal.Body, says) {
		t.Fatalf("refused with %d %q, want %d that says %q", refusal.Status, refusal.Body, status, says)
	}
	if status == http.StatusUpgradeRequired {
		for name, want := range map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"} {
			if got := refusal.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
}

func TestCheckServesPathsByWholeSegments(t *testing.T) {
	cfg := compile(t, func(s *dataplanev1alpha1.Snapshot) { s.Listen.Paths = []string{"/chat", "/a%20b"} })
	for path, served := range map[string]bool{
		"/chat": true, "/chat/": true, "/chat/room": true, "/chat?x=/other": true, "/ch%61t/room": true,
		"http://server.example.com/chat/room": true, "/a%20b": true,
		"/": false, "/chats": false, "//chat": false, "/chat%2Froom": false, "/chat;x": false, "/other?/chat": false,
		"http://server.example.com": false, "/Chat": false,
	} {
		refusal := Check(parse(t, strings.Replace(opening, "/chat", path, 1), "192.0.2.1:5000"), cfg)
		if served != (refusal == nil) || refusal != nil && (refusal.Status != http.StatusNotFound || refusal.Reason != ReasonPathNotServed) {
			t.Errorf("%s: %v, want served %v, else 404", path, refusal, served)
		}
	}
}

func TestCheckHoldsBrowsersToAllowedOrigins(t *testing.T) {
	cfg := compile(t, func(s *dataplanev1alpha1.Snapshot) { s.Listen.AllowedOrigins = []string{"https://shop.example"} })
	for origin, allowed := range map[string]bool{
		"":                                    true, // Not a browser.
		"Origin: https://shop.example\n":      true,
		"Origin: HTTPS://Shop.example:443\n":  true,
		"Origin: http://shop.example\n":       false,
		"Origin: https://shop.example.evil\n": false,
		"Origin: null\n":                      false,
		"Origin:\n":                           false,
		"Origin: https://shop.example https://evil.example\n": false,
	} {
		refusal := Check(parse(t, opening+origin, "192.0.2.1:5000"), cfg)
		if allowed != (refusal == nil) || refusal != nil && (refusal.Status != http.StatusForbidden || refusal.Reason != ReasonOriginNotAllowed) {
			t.Errorf("%q: %v, want allowed %v, else 403", origin, refusal, allowed)
		}
	}
}
