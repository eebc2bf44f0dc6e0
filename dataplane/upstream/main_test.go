// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bufio"
	"context"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what should happen at once. It is long, because machines are
// slow, and is no timeout of what is tested: it is a cancellation.
const patience = 20 * time.Second

func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(patience, cancel)
	t.Cleanup(func() { timer.Stop(); cancel() })
	return ctx
}

// clientHead is what a client's handshake becomes; add is further lines of it,
// each ending with \r\n.
func clientHead(t *testing.T, cfg *config.Config, add string) *handshake.Head {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET /chat?x=1 HTTP/1.1\r\nHost: front.example\r\n" +
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + add + "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.1:5000"
	return handshake.NewHead(r, cfg, "pod-1")
}

// at is a configuration whose Service has these endpoints.
func at(addresses ...string) *config.Config {
	cfg := &config.Config{ConnectTimeout: patience}
	for _, a := range addresses {
		cfg.Endpoints = append(cfg.Endpoints, config.Endpoint{Address: netip.MustParseAddrPort(a)})
	}
	return cfg
}

func atURL(t *testing.T, raw string) *config.Config {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{ConnectTimeout: patience, UpstreamURL: u}
	if u.Scheme == "wss" {
		cfg.UpstreamTLS = &config.UpstreamTLS{}
	}
	return cfg
}

// answering is an upstream that reads each request and says what answer returns,
// byte for byte, with ACCEPT replaced. It then leaves the connection to hold,
// which may be nil; the connection is closed when hold returns.
func answering(t *testing.T, answer func(*http.Request) string, hold func(net.Conn)) (address string) {
	t.Helper()
	return listening(t, func(conn net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		text := strings.ReplaceAll(answer(r), "ACCEPT", handshake.AcceptOf(r.Header.Get("Sec-Websocket-Key")))
		if _, err := conn.Write([]byte(text)); err == nil && hold != nil {
			hold(conn)
		}
	})
}

// always answers every request alike.
func always(answer string) func(*http.Request) string {
	return func(*http.Request) string { return answer }
}

// switching is the least that opens a WebSocket.
const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n"

// listening serves each connection with serve until the test ends; connections
// that are open by then are closed.
func listening(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	ended, end := context.WithCancel(context.Background())
	go func() {
		defer close(served)
		var serving []chan struct{}
		for {
			conn, err := listener.Accept()
			if err != nil {
				break
			}
			done := make(chan struct{})
			serving = append(serving, done)
			stop := context.AfterFunc(ended, func() { _ = conn.Close() })
			go func() {
				defer close(done)
				defer stop()
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
		for _, done := range serving {
			<-done
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		end()
		<-served
	})
	return listener.Addr().String()
}

// untilClosed reads until the other side is gone.
func untilClosed(conn net.Conn) {
	for buffer := make([]byte, 1024); ; {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}

// refusing is an address on which nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// serving is an HTTP server as upstream.
func serving(t *testing.T, handler http.HandlerFunc) (address string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func mustDial(t *testing.T, d *Dialer, cfg *config.Config, head *handshake.Head) *Upstream {
	t.Helper()
	u, err := d.Dial(patient(t), cfg, head)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = u.Conn.Close()
		u.Release()
	})
	return u
}

// answeringBytes answers whatever it is sent first.
func answeringBytes(t *testing.T, answer string) (address string) {
	t.Helper()
	return listening(t, func(conn net.Conn) {
		if _, err := conn.Read(make([]byte, 4096)); err == nil {
			_, _ = conn.Write([]byte(answer))
			untilClosed(conn)
		}
	})
}

// quiet is a log for servers whose clients misbehave on purpose.
func quiet(t *testing.T) *log.Logger {
	t.Helper()
	return log.New(t.Output(), "", 0)
}
