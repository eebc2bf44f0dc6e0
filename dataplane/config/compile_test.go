// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/config"
)

// snapshot returns a usable snapshot in which every setting differs from what is
// built in.
func snapshot() *dataplanev1alpha1.Snapshot {
	return &dataplanev1alpha1.Snapshot{
		Version:   100,
		Namespace: "shop",
		Proxy:     "chat",
		Settings: &dataplanev1alpha1.Settings{
			ConnectionLostTimeout:   61,
			ReuseAddr:               false,
			ConnectTimeout:          31,
			MaxRetries:              4,
			RetryDelay:              1001,
			AutoReconnect:           true,
			AutoReconnectMaxRetries: 6,
			AutoReconnectRetryDelay: 2001,
		},
		Reconnect: &dataplanev1alpha1.Reconnect{BufferBytes: 1000, ReplayMessages: 2},
		Limits: &dataplanev1alpha1.Limits{
			MaxConnections: 10, MaxConnectionsPerClient: 3, MaxMessageBytes: 1 << 40, MessagesPerSecond: 50, MaxConnectionAgeSeconds: 7200,
		},
		Drain: &dataplanev1alpha1.Drain{TimeoutSeconds: 20},
		Listen: &dataplanev1alpha1.Listen{
			Tls:            true,
			Paths:          []string{"/chat", "/feed/"},
			AllowedOrigins: []string{"https://shop.example", "http://Localhost:3000"},
			TrustedProxies: []string{"10.0.0.0/8", "fd00::/8"},
		},
		Upstream: &dataplanev1alpha1.Upstream{
			Url: "wss://chat.example.com/ws",
			Tls: &dataplanev1alpha1.UpstreamTLS{ServerName: "chat.internal", Ca: true, ClientCertificate: true},
		},
	}
}

func mustCompile(t testing.TB, s *dataplanev1alpha1.Snapshot) *config.Config {
	t.Helper()
	c, err := config.Compile(s)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	return c
}

func TestCompileConvertsEveryField(t *testing.T) {
	c := mustCompile(t, snapshot())
	for _, field := range []struct {
		name      string
		got, want any
	}{
		{"ConnectionLostTimeout", c.ConnectionLostTimeout, 61 * time.Second},
		{"ReuseAddr", c.ReuseAddr, false},
		{"ConnectTimeout", c.ConnectTimeout, 31 * time.Second},
		{"MaxRetries", c.MaxRetries, 4},
		{"RetryDelay", c.RetryDelay, 1001 * time.Millisecond},
		{"AutoReconnect", c.AutoReconnect, true},
		{"AutoReconnectMaxRetries", c.AutoReconnectMaxRetries, 6},
		{"AutoReconnectRetryDelay", c.AutoReconnectRetryDelay, 2001 * time.Millisecond},
		{"ReconnectBufferBytes", c.ReconnectBufferBytes, 1000},
		{"ReplayMessages", c.ReplayMessages, 2},
		{"MaxConnections", c.MaxConnections, 10},
		{"MaxConnectionsPerClient", c.MaxConnectionsPerClient, 3},
		{"MaxMessageBytes", c.MaxMessageBytes, int64(1 << 40)},
		{"MessagesPerSecond", c.MessagesPerSecond, 50},
		{"MaxConnectionAge", c.MaxConnectionAge, 2 * time.Hour},
		{"DrainTimeout", c.DrainTimeout, 20 * time.Second},
		{"ListenTLS", c.ListenTLS, true},
		{"UpstreamURL", c.UpstreamURL.String(), "wss://chat.example.com/ws"},
		{"UpstreamTLS", *c.UpstreamTLS, config.UpstreamTLS{ServerName: "chat.internal", CA: true, ClientCertificate: true}},
	} {
		if field.got != field.want {
			t.Errorf("%s is %v, want %v", field.name, field.got, field.want)
		}
	}
}

func TestCompileCopiesTheSnapshot(t *testing.T) {
	s := snapshot()
	c := mustCompile(t, s)
	s.Settings.MaxRetries = 99
	if got := c.Snapshot.GetSettings().GetMaxRetries(); got != 4 {
		t.Errorf("the compiled snapshot changed with the caller's: maxRetries %d", got)
	}
}

func TestCompileEndpoints(t *testing.T) {
	s := snapshot()
	s.Upstream = &dataplanev1alpha1.Upstream{Service: true, Endpoints: []*dataplanev1alpha1.Endpoint{
		{Address: "10.0.0.7:8080"}, {Address: "[fd00::7]:8081", Terminating: true},
	}}
	c := mustCompile(t, s)
	want := []config.Endpoint{
		{Address: netip.MustParseAddrPort("10.0.0.7:8080")},
		{Address: netip.MustParseAddrPort("[fd00::7]:8081"), Terminating: true},
	}
	if len(c.Endpoints) != 2 || c.Endpoints[0] != want[0] || c.Endpoints[1] != want[1] {
		t.Errorf("endpoints %v, want %v", c.Endpoints, want)
	}
	if c.UpstreamURL != nil || c.UpstreamTLS != nil {
		t.Errorf("a serviceRef without tls has url %v and tls %v", c.UpstreamURL, c.UpstreamTLS)
	}
}

func TestCompileAcceptsAServiceWithoutEndpoints(t *testing.T) {
	s := snapshot()
	s.Upstream = &dataplanev1alpha1.Upstream{Service: true}
	mustCompile(t, s)
}

func TestSecureURLMeansTLSWithoutSayingSo(t *testing.T) {
	s := snapshot()
	s.Upstream.Tls = nil
	if c := mustCompile(t, s); c.UpstreamTLS == nil {
		t.Error("a wss URL is reached without TLS")
	}
}

func TestCompileNamesTheFieldTheValueAndWhatIsRight(t *testing.T) {
	for _, test := range []struct {
		change func(*dataplanev1alpha1.Snapshot)
		want   string
	}{
		{func(s *dataplanev1alpha1.Snapshot) { s.Settings.ConnectionLostTimeout = 86401 }, "settings.connectionLostTimeout: Invalid value: 86401: must be 0 to 86400"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Settings.ConnectTimeout = 0 }, "settings.connectTimeout: Invalid value: 0: must be 1 to 3600"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Settings.ConnectTimeout = 3601 }, "settings.connectTimeout: Invalid value: 3601: must be 1 to 3600"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Settings.MaxRetries = 101 }, "settings.maxRetries: Invalid value: 101: must be 0 to 100"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Settings.RetryDelay = -1 }, "settings.retryDelay: Invalid value: -1: must be 0 to 600000"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Settings.AutoReconnectMaxRetries = 1001 }, "settings.autoReconnectMaxRetries: Invalid value: 1001: must be 0 to 1000"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Settings.AutoReconnectRetryDelay = 600001 }, "settings.autoReconnectRetryDelay: Invalid value: 600001: must be 0 to 600000"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Settings = nil }, "settings.connectTimeout: Invalid value: 0: must be 1 to 3600"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Reconnect.BufferBytes = 16<<20 + 1 }, "reconnect.bufferBytes: Invalid value: 16777217: must be 0 to 16777216"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Reconnect.ReplayMessages = 101 }, "reconnect.replayMessages: Invalid value: 101: must be 0 to 100"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Drain.TimeoutSeconds = 3601 }, "drain.timeoutSeconds: Invalid value: 3601: must be 0 to 3600"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Limits.MaxMessageBytes = -1 }, "limits.maxMessageBytes: Invalid value: -1: must be at least 1, or 0 for no limit"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Listen.Paths = []string{"/a", "b"} }, `listen.paths[1]: Invalid value: "b": must start with /`},
		{func(s *dataplanev1alpha1.Snapshot) { s.Listen.AllowedOrigins = []string{"shop.example"} }, `listen.allowedOrigins[0]: Invalid value: "shop.example": must be scheme://host`},
		{func(s *dataplanev1alpha1.Snapshot) { s.Listen.TrustedProxies = []string{"10.0.0.1"} }, `listen.trustedProxies[0]: Invalid value: "10.0.0.1": must be a network in CIDR notation`},
		{func(s *dataplanev1alpha1.Snapshot) { s.Upstream = nil }, "upstream: Required value: exactly one of serviceRef and url must be set"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Upstream.Service = true }, "exactly one of serviceRef and url must be set"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Upstream.Url = "https://chat.example.com" }, `upstream.url: Invalid value: "https://chat.example.com": must be an absolute ws:// or wss:// URL`},
		{func(s *dataplanev1alpha1.Snapshot) { s.Upstream.Url = "wss://user@chat.example.com" }, "without user, query and fragment"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Upstream.Url = "wss://chat.example.com/?a" }, "without user, query and fragment"},
		{func(s *dataplanev1alpha1.Snapshot) { s.Upstream.Url = "ws://chat.example.com" }, `upstream.url: Invalid value: "ws://chat.example.com": tls needs serviceRef or a url that starts with wss://`},
		{func(s *dataplanev1alpha1.Snapshot) {
			s.Upstream = &dataplanev1alpha1.Upstream{Service: true, Endpoints: []*dataplanev1alpha1.Endpoint{{Address: "chat:8080"}}}
		}, `upstream.endpoints[0].address: Invalid value: "chat:8080": must be an IP address and a port`},
		{func(s *dataplanev1alpha1.Snapshot) { s.Proxy = "" }, "proxy: Required value"},
	} {
		s := snapshot()
		test.change(s)
		_, err := config.Compile(s)
		if !errors.Is(err, config.ErrInvalid) {
			t.Errorf("error %v is no ErrInvalid, want %q", err, test.want)
			continue
		}
		if !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %q, want it to say %q", err, test.want)
		}
	}
	if _, err := config.Compile(nil); !errors.Is(err, config.ErrInvalid) {
		t.Errorf("error of no snapshot is %v", err)
	}
}

func TestPathServedComparesWholeSegments(t *testing.T) {
	c := mustCompile(t, snapshot())
	for path, want := range map[string]bool{
		"/chat": true, "/chat/": true, "/chat/room": true, "/chats": false, "/": false, "/Chat": false,
		"/feed": true, "/feed/a": true, "/feeds": false,
	} {
		if got := c.PathServed(path); got != want {
			t.Errorf("PathServed(%q) is %v", path, got)
		}
	}
	for _, paths := range [][]string{nil, {"/"}} {
		s := snapshot()
		s.Listen.Paths = paths
		if c := mustCompile(t, s); !c.PathServed("/anything") || !c.PathServed("/") {
			t.Errorf("paths %q do not serve everything", paths)
		}
	}
}

func TestOriginAllowedComparesOriginsAsBrowsersWriteThem(t *testing.T) {
	s := snapshot()
	s.Listen.AllowedOrigins = append(s.Listen.AllowedOrigins, "https://Port.example:443", "http://plain.example:80")
	c := mustCompile(t, s)
	for origin, want := range map[string]bool{
		"https://shop.example": true, "https://shop.example:443": true, "https://shop.example:8443": false,
		"http://shop.example": false, "https://shop.example.evil": false, "null": false, "": false,
		"http://localhost:3000": true, "https://port.example": true, "http://plain.example": true,
	} {
		if got := c.OriginAllowed(origin); got != want {
			t.Errorf("OriginAllowed(%q) is %v", origin, got)
		}
	}
	s.Listen.AllowedOrigins = nil
	if !mustCompile(t, s).OriginAllowed("https://anybody.example") {
		t.Error("without allowedOrigins an origin is refused")
	}
}

func TestTrustedKnowsMappedAndScopedAddresses(t *testing.T) {
	c := mustCompile(t, snapshot())
	for address, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "11.0.0.1": false, "fd00::1": true, "fd00::1%eth0": true, "fe80::1": false,
	} {
		if got := c.Trusted(netip.MustParseAddr(address)); got != want {
			t.Errorf("Trusted(%s) is %v", address, got)
		}
	}
}
