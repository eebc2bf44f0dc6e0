// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// durations are the histograms. Each has buckets for those who read text, and is a
// native histogram for those who read protobuf.
type durations struct {
	handshake  [6]prometheus.Observer // by the first digit of the status
	upstream   *prometheus.HistogramVec
	relay      map[Direction]prometheus.Observer
	connection *prometheus.HistogramVec

	handshakes, relays *prometheus.HistogramVec
}

// The upper ends of the buckets, in seconds. A handshake takes half a millisecond
// beside the upstream, or as long as maxRetries attempts of connectTimeout; the way
// through the relay some ten microseconds, or as long as a processor is busy; a
// connection anything up to weeks.
var (
	handshakeBuckets  = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	relayBuckets      = []float64{.000005, .00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}
	connectionBuckets = []float64{.1, 1, 10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 86400, 7 * 86400}
)

func newDurations() durations {
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: buckets,
			// 1.1: neighbours differ by at most a tenth. The rest bounds what one takes.
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, labels)
	}
	d := durations{
		handshakes: histogram("wsproxy_handshake_duration_seconds",
			"Time from the head of a client's handshake to our answer, all attempts at upstreams included, by the first digit of the status. Clients that are refused before an upstream is looked for are not in it.",
			handshakeBuckets, "code_class"),
		upstream: histogram("wsproxy_upstream_handshake_duration_seconds",
			"Time of one attempt at an upstream, from the choice of an address to its answer, by what it was for (handshake or reconnect) and what came of it.",
			handshakeBuckets, "attempt", "outcome"),
		relays: histogram("wsproxy_relay_duration_seconds",
			"Time from when it was learned that bytes have come to when the socket of the other side had taken them, by the side that they came from. A sample: about one of 60 reads. Bytes that a socket did not take at once, because its peer does not read, are not in it where an event loop has the connection; where goroutines have it (TLS, or not Linux), the wait for that peer is.",
			relayBuckets, "direction"),
		connection: histogram("wsproxy_connection_duration_seconds",
			"Time from the 101 to the end of a connection, by why it ended.",
			connectionBuckets, "cause"),
		relay: map[Direction]prometheus.Observer{},
	}
	for class := 1; class < len(d.handshake); class++ {
		d.handshake[class] = d.handshakes.WithLabelValues(strconv.Itoa(class) + "xx")
	}
	d.handshake[0] = d.handshakes.WithLabelValues("other")
	for _, from := range [...]Direction{FromClient, FromUpstream} {
		d.relay[from] = d.relays.WithLabelValues(string(from))
	}
	return d
}

func (d *durations) collectors() []prometheus.Collector {
	return []prometheus.Collector{d.handshakes, d.upstream, d.relays, d.connection}
}

// Answered tells how long the handshake of a client took that was answered with this
// code. trace is the id of the trace that it is in, empty where it is in none.
func (m *Metrics) Answered(code int, took time.Duration, trace string) {
	class := code / 100
	if class >= len(m.durations.handshake) {
		class = 0
	}
	to := m.durations.handshake[class]
	if with, ok := to.(prometheus.ExemplarObserver); ok && trace != "" {
		with.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": trace})
		return
	}
	to.Observe(took.Seconds())
}

// Attempt is what an attempt at an upstream is for.
type Attempt string

// What it is for.
const (
	// ForHandshake: to get a client its first upstream.
	ForHandshake Attempt = "handshake"
	// ForReconnect: to replace one that was lost.
	ForReconnect Attempt = "reconnect"
)

// Attempted tells how long an attempt at an upstream took, and what came of it: a
// word of a short list.
func (m *Metrics) Attempted(attempt Attempt, outcome string, took time.Duration) {
	m.durations.upstream.WithLabelValues(string(attempt), outcome).Observe(took.Seconds())
}

// Relayed tells how long bytes from a side were on their way through.
func (m *Metrics) Relayed(from Direction, took time.Duration) {
	m.durations.relay[from].Observe(took.Seconds())
}

// Lasted tells how long a connection was open that ended with this cause.
func (m *Metrics) Lasted(cause string, took time.Duration) {
	m.durations.connection.WithLabelValues(cause).Observe(took.Seconds())
}
