// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"testing"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/metrics"
	"github.com/wsproxy/wsproxy/dataplane/relay"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// sample is a value that the metrics have; 0 where they have none.
func sample(t *testing.T, m *metrics.Metrics, series string) float64 {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (.*)$`).FindStringSubmatch(w.Body.String())
	if found == nil {
		return 0
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func startCounted(t *testing.T, snap *dataplanev1alpha1.Snapshot) (*proxy, *metrics.Metrics) {
	t.Helper()
	var m *metrics.Metrics
	p := startProxyWith(t, snap, core.NewBudget(1<<20), func(o *relay.Options) { m = o.Metrics })
	return p, m
}

// Of two sides that talk in turns both are timed, and not each time.
func TestSomeOfWhatIsRelayedIsTimed(t *testing.T) {
	backend := startBackend(t)
	p, m := startCounted(t, snapshot(backend.url))
	client := p.dial(nil)
	up := backend.next(t)
	const rounds = 1000
	for range rounds {
		send(t, client, "ping")
		receive(t, up, "ping")
		send(t, up, "pong")
		receive(t, client, "pong")
	}
	for _, direction := range []string{"from_client", "from_upstream"} {
		timed := sample(t, m, `wsproxy_relay_duration_seconds_count{direction="`+direction+`"}`)
		if timed == 0 || timed > rounds/10 {
			t.Errorf("%v of %d messages %s were timed", timed, rounds, direction)
		}
		if took := sample(t, m, `wsproxy_relay_duration_seconds_sum{direction="`+direction+`"}`); took <= 0 {
			t.Errorf("they took %v s", took)
		}
	}
}

func TestHandshakesHeldClientsAndEndsAreMeasured(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect = true
	p, m := startCounted(t, snap)
	client := p.dial(nil)
	if n := sample(t, m, `wsproxy_handshake_duration_seconds_count{code_class="1xx"}`); n != 1 {
		t.Errorf("%v handshakes were measured", n)
	}
	gate := make(chan struct{})
	backend.setAnswer(func(http.ResponseWriter, *http.Request) bool { <-gate; return false })
	cut(backend.next(t))
	eventually(t, "the client is counted as held", func() bool { return sample(t, m, "wsproxy_connections_held") == 1 })
	close(gate)
	up := backend.next(t)
	eventually(t, "it is held no more", func() bool { return sample(t, m, "wsproxy_connections_held") == 0 })
	_ = client.Close()
	eventually(t, "its life was measured", func() bool {
		return sample(t, m, `wsproxy_connection_duration_seconds_count{cause="ClientLost"}`) == 1
	})
	_ = up.Close()
}
