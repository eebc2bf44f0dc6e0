// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/config"
)

// opening is the example of RFC 6455 section 1.2, without its optional fields.
const opening = "GET /chat HTTP/1.1\n" +
	"Host: server.example.com\n" +
	"Upgrade: websocket\n" +
	"Connection: Upgrade\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n" +
	"Sec-WebSocket-Version: 13\n"

// parse reads a request as net/http's server does. Lines end with \n here, so
// that tables can be read.
func parse(t *testing.T, text, remote string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n") + "\r\n")))
	if err != nil {
		t.Fatalf("read request: %v\n%s", err, text)
	}
	r.RemoteAddr = remote
	return r
}

// compile makes a usable configuration out of what change leaves.
func compile(t *testing.T, change func(*dataplanev1alpha1.Snapshot)) *config.Config {
	t.Helper()
	s := &dataplanev1alpha1.Snapshot{
		Namespace: "default", Proxy: "echo",
		Settings: &dataplanev1alpha1.Settings{ConnectTimeout: 30},
		Listen:   &dataplanev1alpha1.Listen{},
		Upstream: &dataplanev1alpha1.Upstream{Service: true},
	}
	if change != nil {
		change(s)
	}
	cfg, err := config.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func trusting(t *testing.T, networks ...string) *config.Config {
	t.Helper()
	return compile(t, func(s *dataplanev1alpha1.Snapshot) { s.Listen.TrustedProxies = networks })
}
