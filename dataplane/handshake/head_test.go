// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/config"
)

// sent is what an upstream reads of a head.
func sent(t *testing.T, head *Head, cfg *config.Config) *http.Request {
	t.Helper()
	raw, err := head.AppendRequest(nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(bytes.NewReader(raw))
	r, err := http.ReadRequest(in)
	if err != nil {
		t.Fatalf("read what was sent: %v\n%s", err, raw)
	}
	if in.Buffered() > 0 {
		t.Fatalf("the request is followed by something else:\n%s", raw)
	}
	return r
}

func TestHeaderRules(t *testing.T) {
	const untrusted, trusted = "192.0.2.1:5000", "10.0.0.1:5000"
	for _, c := range []struct {
		name, remote, add string
		want              map[string]string // "": absent
	}{
		{"the handshake's own fields are unchanged", untrusted, "Sec-WebSocket-Protocol: a, b\nSec-WebSocket-Protocol: c\nSec-WebSocket-Extensions: permessage-deflate;  client_max_window_bits\n", map[string]string{
			"Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-Websocket-Version": "13",
			"Sec-Websocket-Protocol": "a, b|c", "Sec-Websocket-Extensions": "permessage-deflate;  client_max_window_bits",
			"Upgrade": "websocket", "Connection": "Upgrade",
		}},
		{"what the backend may want passes", untrusted, "Cookie: a=b\nCookie: c=d\nAuthorization: Bearer x\nOrigin: https://shop.example\nUser-Agent: me\nX-Real-Ip: 1.2.3.4\n", map[string]string{
			"Cookie": "a=b|c=d", "Authorization": "Bearer x", "Origin": "https://shop.example", "User-Agent": "me",
		}},
		{"a user agent is not invented", untrusted, "", map[string]string{"User-Agent": ""}},
		{"hop-by-hop fields", untrusted, "Keep-Alive: 5\nProxy-Authorization: Basic x\nProxy-Connection: close\nTE: trailers\nTrailer: X\nHTTP2-Settings: AAA\nProxy: http://evil.example\nContent-Length: 0\nUpgrade: h2c\n", map[string]string{
			"Keep-Alive": "", "Proxy-Authorization": "", "Proxy-Connection": "", "Te": "", "Trailer": "", "Http2-Settings": "", "Proxy": "", "Content-Length": "", "Upgrade": "websocket",
		}},
		{"fields that Connection names", untrusted, "Connection: X-Private, , x-other\nX-Private: 1\nX-Other: 2\nX-Kept: 3\n", map[string]string{
			"X-Private": "", "X-Other": "", "X-Kept": "3", "Connection": "Upgrade",
		}},
		{"Connection cannot name the handshake's fields", untrusted, "Connection: Sec-WebSocket-Key, Sec-WebSocket-Version, Host\n", map[string]string{
			"Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-Websocket-Version": "13",
		}},
		{"Connection cannot name ours", untrusted, "Connection: X-Forwarded-For, Forwarded, X-Forwarded-Proto, X-WebSocket-Connection-Id\n", map[string]string{
			"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "http", "X-Websocket-Connection-Id": "pod-1",
			"Forwarded": "for=192.0.2.1;host=server.example.com;proto=http",
		}},
		{"Connection cannot name a trusted proxy's", trusted, "Connection: X-Forwarded-For\nX-Forwarded-For: 198.51.100.7\n", map[string]string{
			"X-Forwarded-For": "198.51.100.7, 10.0.0.1",
		}},
		{"what others may not set", untrusted, "X-Forwarded-For: 1.1.1.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: evil.example\nX-Forwarded-Port: 1\nX-Forwarded-User: root\nForwarded: for=1.1.1.1\nX-WebSocket-Connection-Id: mine\nX-WebSocket-Reconnect: 7\nX-WebSocket-Anything: x\n", map[string]string{
			"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "server.example.com", "X-Forwarded-Port": "80", "X-Forwarded-User": "",
			"Forwarded":                 "for=192.0.2.1;host=server.example.com;proto=http",
			"X-Websocket-Connection-Id": "pod-1", "X-Websocket-Reconnect": "", "X-Websocket-Anything": "",
		}},
		{"nor with underscores", untrusted, "X_Forwarded_For: 1.1.1.1\nx-forwarded_user: root\nX_WEBSOCKET_CONNECTION_ID: mine\n", map[string]string{
			"X_forwarded_for": "", "X-Forwarded_user": "", "X_websocket_connection_id": "",
		}},
		{"not even through a trusted proxy", trusted, "X_Forwarded_For: 1.1.1.1\n", map[string]string{"X_forwarded_for": ""}},
		{"a trusted proxy's are kept and added to", trusted, "X-Forwarded-For: 198.51.100.7\nX-Forwarded-For: 10.0.0.9\nX-Forwarded-Proto: https\nX-Forwarded-Host: shop.example\nX-Forwarded-User: ann\nX-WebSocket-Reconnect: 7\n", map[string]string{
			"X-Forwarded-For": "198.51.100.7, 10.0.0.9, 10.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example", "X-Forwarded-Port": "443", "X-Forwarded-User": "ann",
			"Forwarded":             "for=198.51.100.7, for=10.0.0.9, for=10.0.0.1;host=server.example.com;proto=http",
			"X-Websocket-Reconnect": "7",
		}},
		{"but the name of the connection is ours", trusted, "X-WebSocket-Connection-Id: theirs\n", map[string]string{"X-Websocket-Connection-Id": "pod-1"}},
		{"a trusted proxy that says nothing", trusted, "", map[string]string{
			"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "http", "Forwarded": "for=10.0.0.1;host=server.example.com;proto=http",
		}},
		{"a trusted proxy that knows Forwarded only", trusted, "Forwarded: for=203.0.113.66;proto=http, for=\"[2001:db8::7]\";proto=https;host=\"shop.example:8443\";secret=x\n", map[string]string{
			"Forwarded":       "for=203.0.113.66;proto=http, for=\"[2001:db8::7]\";proto=https;host=\"shop.example:8443\";secret=x, for=10.0.0.1;host=server.example.com;proto=http",
			"X-Forwarded-For": "203.0.113.66, [2001:db8::7], 10.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example:8443", "X-Forwarded-Port": "8443",
		}},
		{"a trusted proxy that lets the client's Forwarded through", trusted, "Forwarded: for=1.1.1.1\nX-Forwarded-For: 198.51.100.7\n", map[string]string{
			"Forwarded":       "for=198.51.100.7, for=10.0.0.1;host=server.example.com;proto=http",
			"X-Forwarded-For": "198.51.100.7, 10.0.0.1",
		}},
		{"a trusted proxy's garbage", trusted, "X-Forwarded-For: a\"b;for=1.1.1.1\nForwarded: for=\"\n", map[string]string{
			"Forwarded":       "for=unknown, for=10.0.0.1;host=server.example.com;proto=http",
			"X-Forwarded-For": "a\"b;for=1.1.1.1, 10.0.0.1",
		}},
		{"a trusted proxy's malformed Forwarded", trusted, "Forwarded: for=1.1.1.1, for=\"\n", map[string]string{
			"Forwarded": "for=10.0.0.1;host=server.example.com;proto=http", "X-Forwarded-For": "10.0.0.1",
		}},
		{"IPv6", "[2001:db8::1]:5000", "", map[string]string{
			"X-Forwarded-For": "2001:db8::1", "Forwarded": "for=\"[2001:db8::1]\";host=server.example.com;proto=http",
		}},
		{"no address", "@", "", map[string]string{"X-Forwarded-For": "unknown", "Forwarded": "for=unknown;host=server.example.com;proto=http"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := trusting(t, "10.0.0.0/8")
			r := parse(t, opening+c.add, c.remote)
			before := r.Header.Clone()
			got := sent(t, NewHead(r, cfg, "pod-1"), cfg)
			for name, want := range c.want {
				if value := strings.Join(got.Header[name], "|"); value != want {
					t.Errorf("%s is %q, want %q", name, value, want)
				}
			}
			if got.Host != "server.example.com" || got.RequestURI != "/chat" {
				t.Errorf("sent to %s %s", got.Host, got.RequestURI)
			}
			if !reflect.DeepEqual(r.Header, before) {
				t.Error("the client's request has been changed")
			}
		})
	}
}

func TestTLSClientsAreForwardedAsHTTPS(t *testing.T) {
	cfg := compile(t, nil)
	r := parse(t, strings.Replace(opening, "Host: server.example.com", "Host: server.example.com:8443", 1), "192.0.2.1:5000")
	r.TLS = &tls.ConnectionState{}
	got := sent(t, NewHead(r, cfg, "pod-1"), cfg).Header
	for name, want := range map[string]string{
		"X-Forwarded-Proto": "https", "X-Forwarded-Port": "8443", "X-Forwarded-Host": "server.example.com:8443",
		"Forwarded": `for=192.0.2.1;host="server.example.com:8443";proto=https`,
	} {
		if got.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want)
		}
	}
}

func TestTargetAtAURL(t *testing.T) {
	for _, c := range []struct{ base, client, target string }{
		{"ws://up.example", "/chat?x=1", "/chat?x=1"},
		{"ws://up.example/", "/chat", "/chat"},
		{"ws://up.example/ws", "/chat", "/ws/chat"},
		{"ws://up.example/ws/", "/chat", "/ws/chat"},
		{"ws://up.example/ws", "/", "/ws"},
		{"ws://up.example/ws", "/?x=1", "/ws?x=1"},
		{"ws://up.example/ws/", "/", "/ws/"},
		{"ws://up.example/ws", "http://front.example?x=1", "/ws?x=1"},
		{"ws://up.example/a%2Fb", "/c%2fd/%7E?q=%2f&r=a+b", "/a%2Fb/c%2fd/%7E?q=%2f&r=a+b"},
		{"ws://up.example/ws", "/caf\u00e9/[x]", "/ws/caf\u00e9/[x]"},
		{"ws://up.example/ws", "/a?redirect=http://x/../y", "/ws/a?redirect=http://x/../y"},
		{"ws://up.example/ws", "/a?", "/ws/a?"},
	} {
		cfg := compile(t, func(s *dataplanev1alpha1.Snapshot) {
			s.Upstream = &dataplanev1alpha1.Upstream{Url: c.base}
		})
		r := parse(t, strings.Replace(opening, "/chat", c.client, 1), "192.0.2.1:5000")
		if refusal := Check(r, cfg); refusal != nil {
			t.Errorf("%s: %v", c.client, refusal)
			continue
		}
		got := sent(t, NewHead(r, cfg, "pod-1"), cfg)
		if got.RequestURI != c.target || got.Host != "up.example" {
			t.Errorf("%s at %s: sent to %s %s, want %s", c.client, c.base, got.Host, got.RequestURI, c.target)
		}
		if host := got.Header.Get("X-Forwarded-Host"); host != r.Host {
			t.Errorf("X-Forwarded-Host is %q, want %q", host, r.Host)
		}
	}
}

func TestHeadCannotSmuggle(t *testing.T) {
	cfg := compile(t, nil)
	for _, head := range []*Head{
		{Host: "a\r\nX: y", RequestURI: "/"},
		{Host: "a", RequestURI: "/ HTTP/1.1\r\nX: y"},
		{Host: "a", RequestURI: "/a b"},
		{Host: "a", RequestURI: "/a\tb"},
		{Host: "a", RequestURI: "http://b/"},
		{Host: "a", RequestURI: ""},
		{Host: "", RequestURI: "/"},
	} {
		if raw, err := head.AppendRequest(nil, cfg); !errors.Is(err, ErrBadHead) {
			t.Errorf("%+v: %q, %v; want ErrBadHead", head, raw, err)
		}
	}
	got := sent(t, &Head{Host: "a", RequestURI: "/", Header: http.Header{
		"X-A": {"1\r\nX-Evil: 2", "ok"}, "X-B\r\nX-Evil": {"3"}, "X-C": {"a\x00b"}, "X-Evil: 4\r\nX-D": {"5"},
	}}, cfg)
	want := http.Header{"X-A": {"ok"}, "Upgrade": {"websocket"}, "Connection": {"Upgrade"}}
	if !reflect.DeepEqual(got.Header, want) {
		t.Errorf("sent %v, want %v", got.Header, want)
	}
}

func TestSizeIsThatOfTheRequest(t *testing.T) {
	cfg := compile(t, nil)
	head := NewHead(parse(t, opening+"Cookie: a=b\nCookie: c=d\n", "192.0.2.1:5000"), cfg, "pod-1")
	raw, err := head.AppendRequest(nil, cfg)
	if err != nil || head.Size() != len(raw) {
		t.Errorf("size is %d, want %d; %v\n%s", head.Size(), len(raw), err, raw)
	}
	if !bytes.Contains(raw, []byte("\r\nX-WebSocket-Connection-Id: pod-1\r\n")) || !bytes.Contains(raw, []byte("\r\nSec-WebSocket-Key: ")) {
		t.Errorf("fields are not spelled as in RFC 6455:\n%s", raw)
	}
}

func TestReconnectOffersWhatWasAgreed(t *testing.T) {
	cfg := compile(t, func(s *dataplanev1alpha1.Snapshot) { s.Settings.AutoReconnect = true })
	first := NewHead(parse(t, opening+"Sec-WebSocket-Protocol: a, b\nSec-WebSocket-Extensions: permessage-deflate\nCookie: a=b\n", "192.0.2.1:5000"), cfg, "pod-1")
	kept, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}

	again := sent(t, first.Reconnect(2, Agreement{Subprotocol: "b", Extensions: "permessage-deflate; client_no_context_takeover"}), cfg)
	for name, want := range map[string]string{
		"Sec-WebSocket-Protocol": "b", "Sec-WebSocket-Extensions": "permessage-deflate; client_no_context_takeover",
		"X-WebSocket-Reconnect": "2", "X-WebSocket-Connection-Id": "pod-1", "Cookie": "a=b", "X-Forwarded-For": "192.0.2.1",
	} {
		if got := again.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if key := again.Header.Get("Sec-WebSocket-Key"); !isKey(key) || key == first.Key() {
		t.Errorf("the key is %q, the first one was %q", key, first.Key())
	}

	bare := sent(t, first.Reconnect(1, Agreement{}), cfg)
	for _, name := range []string{"Sec-Websocket-Protocol", "Sec-Websocket-Extensions"} {
		if value, ok := bare.Header[name]; ok {
			t.Errorf("%s is offered as %q, though nothing was agreed on", name, value)
		}
	}

	var restored Head
	if err := json.Unmarshal(kept, &restored); err != nil || !reflect.DeepEqual(&restored, first) {
		t.Errorf("written down and read back: %+v, %v; want %+v", restored, err, first)
	}
}

func TestNoContextTakeoverIsAskedForOnlyWithAutoReconnect(t *testing.T) {
	for _, c := range []struct {
		auto           bool
		offered, asked []string
	}{
		{false, []string{"permessage-deflate"}, []string{"permessage-deflate"}},
		{true, []string{"permessage-deflate"}, []string{"permessage-deflate; client_no_context_takeover"}},
		{true, []string{"permessage-deflate;client_no_context_takeover"}, []string{"permessage-deflate;client_no_context_takeover"}},
		{true, []string{"permessage-deflate;  client_max_window_bits=\"10\"", "permessage-deflate, x-other; a=1"},
			[]string{"permessage-deflate; client_max_window_bits=10; client_no_context_takeover, permessage-deflate; client_no_context_takeover, x-other; a=1"}},
		{true, []string{"x-other"}, []string{"x-other"}},
		{true, []string{"permessage-deflate; ="}, []string{"permessage-deflate; ="}},
		{true, nil, nil},
	} {
		cfg := compile(t, func(s *dataplanev1alpha1.Snapshot) { s.Settings.AutoReconnect = c.auto })
		var add strings.Builder
		for _, line := range c.offered {
			add.WriteString("Sec-WebSocket-Extensions: " + line + "\n")
		}
		head := NewHead(parse(t, opening+add.String(), "192.0.2.1:5000"), cfg, "pod-1")
		if got := sent(t, head, cfg).Header["Sec-Websocket-Extensions"]; !slices.Equal(got, c.asked) {
			t.Errorf("autoReconnect %v: %q became %q, want %q", c.auto, c.offered, got, c.asked)
		}
	}
}

// FuzzTarget holds that what Check lets through reaches the upstream as it was
// sent, in one request.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"/", "/a?b", "http://h/a", "http://h?x", "//a", "/%2e%2e/", "/a#b", "*"} {
		f.Add(seed)
	}
	base := &config.Config{}
	at := &config.Config{UpstreamURL: &url.URL{Scheme: "ws", Host: "up.example", Path: "/ws"}}
	f.Fuzz(func(t *testing.T, in string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + in + " HTTP/1.1\r\nHost: h\r\n" +
			"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")))
		if err != nil || Check(r, base) != nil {
			return
		}
		head := NewHead(r, base, "pod-1")
		if !strings.HasSuffix(r.RequestURI, head.RequestURI) && !strings.HasSuffix(r.RequestURI, head.RequestURI[1:]) {
			t.Fatalf("%q became %q", r.RequestURI, head.RequestURI)
		}
		if got := sent(t, head, base); got.RequestURI != head.RequestURI {
			t.Fatalf("%q was sent as %q", head.RequestURI, got.RequestURI)
		}
		if got := sent(t, head, at); got.RequestURI != "/ws" && !strings.HasPrefix(got.RequestURI, "/ws/") && !strings.HasPrefix(got.RequestURI, "/ws?") {
			t.Fatalf("%q left the URL's path as %q", head.RequestURI, got.RequestURI)
		}
	})
}
