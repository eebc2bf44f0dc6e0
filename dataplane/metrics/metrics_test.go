// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/metrics"
)

func newMetrics() *metrics.Metrics {
	return metrics.New(metrics.Sources{
		Connections:   func() int { return 7 },
		ConfigVersion: func() uint64 { return 4711 },
		Draining:      func() bool { return true },

		ReconnectBytes:      func() int64 { return 50 },
		ReconnectBytesLimit: func() int64 { return 100 },

		Version: "v1.2.3",
	})
}

// scrape returns the lines of a scrape that are samples of ours.
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

	got := strings.Join(scrape(t, m), "\n")
	want := strings.Join([]string{
		`wsproxy_build_info{version="v1.2.3"} 1`,
		`wsproxy_bytes_total{direction="from_client"} 30`,
		`wsproxy_bytes_total{direction="from_upstream"} 10`,
		`wsproxy_config_version 4711`,
		`wsproxy_connections 7`,
		`wsproxy_connections_closed_total{by="Client",cause="ClientClose"} 1`,
		`wsproxy_connections_closed_total{by="Network",cause="UpstreamLost"} 2`,
		`wsproxy_connections_opened_total 1`,
		`wsproxy_draining 1`,
		`wsproxy_handshakes_total{code="101",reason="Accepted"} 1`,
		`wsproxy_handshakes_total{code="426",reason="NotWebSocket"} 1`,
		`wsproxy_handshakes_total{code="426",reason="UnsupportedVersion"} 1`,
		`wsproxy_messages_total{direction="from_client"} 2`,
		`wsproxy_messages_total{direction="from_upstream"} 1`,
		`wsproxy_reconnect_memory_bytes 50`,
		`wsproxy_reconnect_memory_limit_bytes 100`,
		`wsproxy_reconnects_total 1`,
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
