// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

const opening = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// ask opens a socket to the proxy and sends bytes.
func (p *proxy) ask(bytes string) (net.Conn, *bufio.Reader) {
	p.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "ws://"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, bytes); err != nil {
		p.t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func answered(t *testing.T, r *bufio.Reader, status int) *http.Response {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != status {
		t.Fatalf("status %d, want %d", response.StatusCode, status)
	}
	return response
}

func TestTheTargetReachesTheUpstreamAsItWasSent(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	for _, target := range []string{
		"/", "/a/b?x=%20y&x=+&z", "/%7Euser/%2F.x%2f/%C3%BC?%", "/a;b=c,d/e:@!$&'()*", "/?", "//double//slash", "/caf%C3%A9?q=%e4%FF%00",
		"/?" + strings.Repeat("long=query&", 3000),
	} {
		conn, r := p.ask("GET " + target + " HTTP/1.1\r\nHost: chat.example\r\n" + opening + "\r\n")
		answered(t, r, http.StatusSwitchingProtocols)
		got := <-backend.requests
		if got.RequestURI != target || got.Host != strings.TrimPrefix(backend.url, "ws://") {
			t.Errorf("sent %.80q, the upstream got %.80q for %q", target, got.RequestURI, got.Host)
		}
		_ = conn.Close()
	}
}

func TestLargeHeadersAndManySubprotocolsCross(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	var protocols []string
	for i := range 200 {
		protocols = append(protocols, fmt.Sprintf("chat.v%d", 1000+i))
	}
	protocols = append(protocols, "chat.v2")
	cookie := "session=" + strings.Repeat("c", 40<<10)
	conn, r := p.ask("GET / HTTP/1.1\r\nHost: x\r\n" + opening + "Cookie: " + cookie + "\r\nSec-WebSocket-Protocol: " + strings.Join(protocols, ", ") + "\r\n\r\n")
	defer conn.Close()
	response := answered(t, r, http.StatusSwitchingProtocols)
	got := <-backend.requests
	if !slices.Equal(websocket.Subprotocols(got), protocols) || got.Header.Get("Cookie") != cookie {
		t.Errorf("the upstream got %d subprotocols and %d bytes of cookies", len(websocket.Subprotocols(got)), len(got.Header.Get("Cookie")))
	}
	if got := response.Header.Get("Sec-Websocket-Protocol"); got != "chat.v2" {
		t.Errorf("subprotocol %q", got)
	}
	_, r = p.ask("GET / HTTP/1.1\r\nHost: x\r\n" + opening + "Cookie: " + strings.Repeat("c", 100<<10) + "\r\n\r\n")
	answered(t, r, http.StatusRequestHeaderFieldsTooLarge)
}

func TestAConnectionMayBeUpgradedAfterOtherRequests(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	conn, r := p.ask("GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
	for range 2 {
		response := answered(t, r, http.StatusUpgradeRequired)
		_, _ = io.Copy(io.Discard, response.Body)
		if response.Close {
			t.Fatal("the connection ends with the refusal")
		}
		if _, err := io.WriteString(conn, "GET /again HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	response := answered(t, r, http.StatusUpgradeRequired)
	_, _ = io.Copy(io.Discard, response.Body)
	if _, err := io.WriteString(conn, "GET /chat HTTP/1.1\r\nHost: x\r\n"+opening+"\r\n"); err != nil {
		t.Fatal(err)
	}
	answered(t, r, http.StatusSwitchingProtocols)
	up := backend.next(t)
	send(t, up, "hello")
	got := make([]byte, 7)
	if _, err := io.ReadFull(r, got); err != nil || string(got) != "\x81\x05hello" {
		t.Errorf("got %q, %v", got, err)
	}
	if request := <-backend.requests; request.RequestURI != "/chat" || len(backend.requests) > 0 {
		t.Errorf("the upstream was asked for %s and %d others", request.RequestURI, len(backend.requests))
	}
}

func TestThePROXYProtocolIsNotSpoken(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	request := "GET / HTTP/1.1\r\nHost: x\r\n" + opening + "\r\n"
	for name, preface := range map[string]string{
		"version 1": "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n",
		"version 2": "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x04\xd2\x00\x50",
	} {
		_, r := p.ask(preface + request)
		if response, err := http.ReadResponse(r, nil); err != nil || response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %v, %v, want 400", name, response, err)
		}
	}
	if n := len(backend.requests); n > 0 {
		t.Errorf("%d of them reached the upstream", n)
	}
	// Nor to the upstream: a backend of net/http would refuse it.
	conn, r := p.ask(request)
	defer conn.Close()
	answered(t, r, http.StatusSwitchingProtocols)
}

func TestIPv6OnBothLegs(t *testing.T) {
	listen := func() net.Listener {
		listener, err := net.Listen("tcp", "[::1]:0")
		if err != nil {
			t.Skipf("this machine has no IPv6: %v", err)
		}
		return listener
	}
	backend := startBackendWith(t, func(h http.Handler) *httptest.Server {
		server := httptest.NewUnstartedServer(h)
		_ = server.Listener.Close()
		server.Listener = listen()
		server.Start()
		return server
	})
	snap := snapshot(backend.url)
	snap.Listen = &dataplanev1alpha1.Listen{}
	p := startProxy(t, snap)
	front := listen()
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(front) }()
	client, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+front.Addr().String()+"/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	up := backend.next(t)
	send(t, client, "six")
	receive(t, up, "six")
	request := <-backend.requests
	if got := request.Header.Get("X-Forwarded-For"); got != "::1" {
		t.Errorf("X-Forwarded-For: %q", got)
	}
	if got := p.only().Describe().Upstream; got != strings.TrimPrefix(backend.url, "ws://") {
		t.Errorf("upstream %q", got)
	}
	p.server.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
