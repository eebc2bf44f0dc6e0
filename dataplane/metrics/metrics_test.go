// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/metrics"
)

func newMetrics() *metrics.Metrics {
	return metrics.New(metrics.Sources{
		Connections:   func() int { return 7 },
		ConfigVersion: func() uint64 { return 4711 },
		Draining:      func() bool { return true },

		ReconnectBytes:      func() int64 { return 50 },
		ReconnectBytesLimit: func() int64 { return 100 },

		ConnectionsLimit: func() int { return 1000 },
		Endpoints:        func() int { return 3 },
		Expiries: func() map[metrics.Certificate]time.Time {
			return map[metrics.Certificate]time.Time{metrics.CertificateListen: time.Unix(1_900_000_000, 0)}
		},

		Namespace: "shop", Proxy: "chat", Version: "v1.2.3",
	})
}

// ours are the labels that everything of ours has.
const ours = `namespace="shop",proxy="chat"`

// scrape returns the lines of a scrape that are samples of ours, without those
// labels.
func scrape(t *testing.T, m *metrics.Metrics) []string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("scrape answered %d", w.Code)
	}
	var samples []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "wsproxy_") {
			if !strings.Contains(line, `namespace="shop",`) || !strings.Contains(line, `proxy="chat"`) {
				t.Errorf("whose is %s", line)
			}
			line = strings.NewReplacer("{"+ours+"}", "", ours+",", "", ","+ours, "").Replace(line)
			samples = append(samples, strings.TrimSpace(line))
		}
	}
	return samples
}

func TestScrapeShowsWhatWasCounted(t *testing.T) {
	m := newMetrics()
	m.Opened()
	m.Closed("Client", "ClientClose")
	m.Closed("Network", "UpstreamLost")
	m.Closed("Network", "UpstreamLost")
	m.Reconnected()
	m.Handshake(101, "Accepted")
	m.Handshake(426, "NotWebSocket")
	m.Handshake(426, "UnsupportedVersion")
	m.AddTraffic(metrics.FromClient, 2, 30)
	m.AddTraffic(metrics.FromUpstream, 1, 10)
	m.Handshake(777, "UpstreamRefused")
	m.Held(1)

	got := strings.Join(slices.DeleteFunc(scrape(t, m), func(line string) bool { return strings.Contains(line, "_duration_seconds_") }), "\n")
	want := strings.Join([]string{
		`wsproxy_build_info{version="v1.2.3"} 1`,
		`wsproxy_bytes_total{direction="from_client"} 30`,
		`wsproxy_bytes_total{direction="from_upstream"} 10`,
		`wsproxy_certificate_expiry_timestamp_seconds{certificate="listen"} 1.9e+09`,
		`wsproxy_config_version 4711`,
		`wsproxy_connections 7`,
		`wsproxy_connections_closed_total{by="Client",cause="ClientClose"} 1`,
		`wsproxy_connections_closed_total{by="Network",cause="UpstreamLost"} 2`,
		`wsproxy_connections_held 1`,
		`wsproxy_connections_limit 1000`,
		`wsproxy_connections_opened_total 1`,
		`wsproxy_draining 1`,
		`wsproxy_handshakes_total{code="101",reason="Accepted"} 1`,
		`wsproxy_handshakes_total{code="426",reason="NotWebSocket"} 1`,
		`wsproxy_handshakes_total{code="426",reason="UnsupportedVersion"} 1`,
		`wsproxy_handshakes_total{code="other",reason="UpstreamRefused"} 1`,
		`wsproxy_messages_total{direction="from_client"} 2`,
		`wsproxy_messages_total{direction="from_upstream"} 1`,
		`wsproxy_reconnect_memory_bytes 50`,
		`wsproxy_reconnect_memory_limit_bytes 100`,
		`wsproxy_reconnects_total 1`,
		`wsproxy_upstream_endpoints 3`,
	}, "\n")
	if got != want {
		t.Errorf("scrape:\n%s\nwant:\n%s", got, want)
	}
}

func TestTrafficOfLiveConnectionsIsAddedBeforeAScrape(t *testing.T) {
	m := newMetrics()
	m.BeforeScrape(func() { m.AddTraffic(metrics.FromClient, 1, 5) })
	scrape(t, m)
	got := strings.Join(scrape(t, m), "\n")
	if want := `wsproxy_bytes_total{direction="from_client"} 10`; !strings.Contains(got, want) {
		t.Errorf("after two scrapes:\n%s\nwant %s", got, want)
	}
}

func TestDurationsAreCountedByTheirBoundedLabels(t *testing.T) {
	m := newMetrics()
	m.Answered(101, 2*time.Millisecond, "")
	m.Answered(499, time.Second, "")
	m.Answered(999, time.Second, "")
	m.Attempted(metrics.ForReconnect, "UpstreamTimeout", 30*time.Second)
	m.Relayed(metrics.FromClient, 20*time.Microsecond)
	m.Lasted("ClientClose", time.Hour)
	got := scrape(t, m)
	for _, want := range []string{
		`wsproxy_handshake_duration_seconds_bucket{code_class="1xx",le="0.001"} 0`,
		`wsproxy_handshake_duration_seconds_bucket{code_class="1xx",le="0.0025"} 1`,
		`wsproxy_handshake_duration_seconds_count{code_class="4xx"} 1`,
		`wsproxy_handshake_duration_seconds_count{code_class="other"} 1`,
		`wsproxy_upstream_handshake_duration_seconds_sum{attempt="reconnect",namespace="shop",outcome="UpstreamTimeout",proxy="chat"} 30`,
		`wsproxy_relay_duration_seconds_bucket{direction="from_client",le="1e-05"} 0`,
		`wsproxy_relay_duration_seconds_bucket{direction="from_client",le="2.5e-05"} 1`,
		`wsproxy_connection_duration_seconds_sum{cause="ClientClose"} 3600`,
	} {
		if !slices.Contains(got, want) {
			t.Errorf("lacks %s:\n%s", want, strings.Join(got, "\n"))
		}
	}
}

// A trace is found from a slow bucket. Only OpenMetrics can say so, and who does not
// ask for that gets what it has always got.
func TestATracedHandshakeIsAnExemplar(t *testing.T) {
	m := newMetrics()
	m.Answered(101, 2*time.Millisecond, "4bf92f3577b34da6a3ce929d0e0e4736")
	for accept, want := range map[string]bool{"": false, "application/openmetrics-text; version=1.0.0": true} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept", accept)
		m.Handler().ServeHTTP(w, r)
		if got := strings.Contains(w.Body.String(), `# {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.002`); got != want {
			t.Errorf("Accept %q: an exemplar: %v, want %v", accept, got, want)
		}
	}
}
