// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/gorilla/websocket"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/metrics"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// told is what a proxy says of the handshakes that failed.
type told struct {
	*proxy
	metrics *metrics.Metrics

	mu  sync.Mutex
	log strings.Builder // guarded by mu
}

// startTold runs a proxy that logs as it does by default.
func startTold(t *testing.T, snap *dataplanev1alpha1.Snapshot) *told {
	t.Helper()
	p := &told{}
	p.proxy = startProxyWith(t, snap, core.NewBudget(1<<20), func(o *relay.Options) {
		p.metrics = o.Metrics
		o.Logger = funcr.New(func(_, line string) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.log.WriteString(line + "\n")
		}, funcr.Options{})
	})
	return p
}

// wants waits until metrics and log tell of one handshake that failed.
func (p *told) wants(t *testing.T, code int, reason string, also ...string) {
	t.Helper()
	sample := fmt.Sprintf("wsproxy_handshakes_total{code=\"%d\",reason=%q} 1\n", code, reason)
	eventually(t, sample, func() bool {
		w := httptest.NewRecorder()
		p.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return strings.Contains(w.Body.String(), sample)
	})
	line := fmt.Sprintf(`"connection not opened" "reason"=%q "code"=%d `, reason, code)
	eventually(t, line, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for l := range strings.Lines(p.log.String()) {
			if !strings.Contains(l, line) {
				continue
			}
			for _, text := range append(also, `"client"="127.0.0.1"`) {
				if !strings.Contains(l, text) {
					t.Errorf("the log does not say %s:\n%s", text, l)
				}
			}
			return true
		}
		return false
	})
}

// ask makes a handshake that is refused.
func (p *told) ask(t *testing.T, path string, header http.Header) {
	t.Helper()
	client, response, err := websocket.DefaultDialer.DialContext(t.Context(), p.url+path, header)
	if err == nil {
		_ = client.Close()
		t.Fatal("the handshake succeeded")
	}
	_ = response.Body.Close()
}

// unused is the address of nobody.
func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestLogAndMetricsSayWhyAHandshakeFailed(t *testing.T) {
	backend := startBackend(t)
	backend.setAnswer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/refused" {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	mute, _ := mute(t)
	for _, test := range []struct {
		name   string
		change func(*dataplanev1alpha1.Snapshot)
		path   string
		header http.Header
		code   int
		reason string
		also   []string
	}{
		{"path", func(s *dataplanev1alpha1.Snapshot) { s.Listen.Paths = []string{"/chat"} }, "/other", nil, 404, "PathNotServed", []string{`"path"="/other"`}},
		{"origin", func(s *dataplanev1alpha1.Snapshot) { s.Listen.AllowedOrigins = []string{"https://shop.example"} }, "/",
			http.Header{"Origin": {"https://evil.example"}}, 403, "OriginNotAllowed", []string{`"origin"="https://evil.example"`}},
		{"upstream refuses", nil, "/refused", nil, 403, "UpstreamRefused", []string{`"upstream"="127.0.0.1:`, `"connection"=`}},
		{"upstream is not there", func(s *dataplanev1alpha1.Snapshot) { s.Upstream.Url = "ws://" + unused(t) }, "/", nil, 502, "UpstreamUnreachable", []string{"connection refused"}},
		{"upstream does not answer", func(s *dataplanev1alpha1.Snapshot) { s.Upstream.Url, s.Settings.ConnectTimeout = mute, 1 }, "/", nil, 504, "UpstreamTimeout", nil},
		{"no endpoints", func(s *dataplanev1alpha1.Snapshot) { s.Upstream = &dataplanev1alpha1.Upstream{Service: true} }, "/", nil, 502, "NoEndpoints", nil},
		{"upstream without TLS", func(s *dataplanev1alpha1.Snapshot) { s.Upstream.Url = "wss" + strings.TrimPrefix(backend.url, "ws") }, "/", nil, 502, "UpstreamTLS", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			snap := snapshot(backend.url)
			if test.change != nil {
				test.change(snap)
			}
			p := startTold(t, snap)
			p.ask(t, test.path, test.header)
			p.wants(t, test.code, test.reason, test.also...)
		})
	}
}

// A certificate that nobody trusts would keep all clients out, in silence.
func TestLogAndMetricsTellOfTLSThatFailed(t *testing.T) {
	for name, test := range map[string]struct {
		attempt func(t *testing.T, address string)
		detail  string
	}{
		"a client that does not trust us": {func(t *testing.T, address string) {
			if conn, err := tls.Dial("tcp", address, &tls.Config{MinVersion: tls.VersionTLS12}); err == nil {
				_ = conn.Close()
				t.Error("it trusts us")
			}
		}, "bad certificate"},
		"a client that speaks none": {func(t *testing.T, address string) {
			response, err := http.Get("http://" + address) // #nosec G107 -- the address is the proxy's.
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
		}, "HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			snap := snapshot(startBackend(t).url)
			snap.Listen.Tls = true
			p := startTold(t, snap)
			address := strings.TrimPrefix(p.url, "wss://")
			// One that looks whether there is a listener is none that failed.
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
			test.attempt(t, address)
			p.wants(t, 400, "TLS", test.detail)
		})
	}
}

func TestLogAndMetricsSayWhichLimitWasReached(t *testing.T) {
	for reason, limits := range map[string]*dataplanev1alpha1.Limits{
		"MaxConnections": {MaxConnections: 1}, "MaxConnectionsPerClient": {MaxConnectionsPerClient: 1},
	} {
		backend := startBackend(t)
		snap := snapshot(backend.url)
		snap.Limits = limits
		p := startTold(t, snap)
		p.dial(nil)
		p.ask(t, "/", nil)
		code := http.StatusServiceUnavailable
		if limits.GetMaxConnections() == 0 {
			code = http.StatusTooManyRequests
		}
		p.wants(t, code, reason)
	}
}

func TestLogAndMetricsTellOfClientsThatWereEndedOrLeft(t *testing.T) {
	url, accepted := mute(t)
	p := startTold(t, snapshot(url))
	client, _ := p.proxy.ask("GET / HTTP/1.1\r\nHost: x\r\n" + opening + "\r\n")
	eventually(t, "its upstream is asked", func() bool { return accepted.Load() == 1 })
	_ = client.Close()
	p.wants(t, 499, "ClientLost")

	waiting := make(chan *http.Response, 1)
	go func() {
		_, response, _ := websocket.DefaultDialer.DialContext(t.Context(), p.url, nil)
		waiting <- response
	}()
	eventually(t, "its upstream is asked", func() bool { return accepted.Load() == 2 })
	eventually(t, "the other one is gone", func() bool { return p.registry.Len() == 1 })
	if err := p.only().Disconnect(registry.Disconnect{Code: 4001, Reason: "bye"}); err != nil {
		t.Fatal(err)
	}
	if response := <-waiting; response == nil || response.StatusCode != 503 {
		t.Errorf("the client got %v, want 503", response)
	}
	p.wants(t, 503, "Disconnected", "bye")
}
