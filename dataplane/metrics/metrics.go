// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Direction is the side that traffic came from.
type Direction string

// The directions.
const (
	// FromClient: to the upstream.
	FromClient Direction = "from_client"
	// FromUpstream: to the client.
	FromUpstream Direction = "from_upstream"
)

// Metrics counts what happens. Any number of goroutines may use it.
type Metrics struct {
	registry   *prometheus.Registry
	opened     prometheus.Counter
	closed     *prometheus.CounterVec
	messages   *prometheus.CounterVec
	bytes      *prometheus.CounterVec
	reconnects prometheus.Counter
	handshakes *prometheus.CounterVec
	held       prometheus.Gauge
	durations  durations
	// traffic has what every connection counts, which is looked up once.
	traffic map[Direction]traffic

	mu sync.Mutex
	// The field below is guarded by mu, which also makes scrapes wait for each
	// other.
	beforeScrape []func()
}

// traffic is what is counted of a direction.
type traffic struct{ messages, bytes prometheus.Counter }

// New returns metrics of which only the sources are not zero.
func New(sources Sources) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		opened: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wsproxy_connections_opened_total",
			Help: "Connections whose handshake was answered with 101.",
		}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wsproxy_connections_closed_total",
			Help: "Connections that ended after their handshake, by who ended them and why.",
		}, []string{"by", "cause"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wsproxy_messages_total",
			Help: "Messages that were relayed, by the side that they came from.",
		}, []string{"direction"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wsproxy_bytes_total",
			Help: "Bytes that were relayed as they are on the wire, by the side that they came from.",
		}, []string{"direction"}),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wsproxy_reconnects_total",
			Help: "Times that a lost upstream was replaced while its client was held.",
		}),
		handshakes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wsproxy_handshakes_total",
			Help: "Answers to handshakes of clients, by HTTP status code, which is the upstream's where that refused, and why; 499 is a client that left before.",
		}, []string{"code", "reason"}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "wsproxy_connections_held",
			Help: "Clients that are held while their upstream is away (autoReconnect).",
		}),
		durations: newDurations(),
	}
	m.traffic = map[Direction]traffic{}
	for _, from := range [...]Direction{FromClient, FromUpstream} {
		m.traffic[from] = traffic{m.messages.WithLabelValues(string(from)), m.bytes.WithLabelValues(string(from))}
	}
	ours := prometheus.WrapRegistererWith(sources.labels(), m.registry)
	ours.MustRegister(m.opened, m.closed, m.messages, m.bytes, m.reconnects, m.handshakes, m.held)
	ours.MustRegister(m.durations.collectors()...)
	ours.MustRegister(sources.collectors()...)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Opened counts a connection that was answered 101.
func (m *Metrics) Opened() { m.opened.Inc() }

// Closed counts a connection that ended after it was opened. The words are those
// of the API's vocabulary.
func (m *Metrics) Closed(by, cause string) { m.closed.WithLabelValues(by, cause).Inc() }

// Expect shows that no connection has ended so yet: a series that is there from the
// beginning has a rate from its first event on.
func (m *Metrics) Expect(by, cause string) { m.closed.WithLabelValues(by, cause) }

// Reconnected counts a lost upstream that was replaced.
func (m *Metrics) Reconnected() { m.reconnects.Inc() }

// Held counts a client that is held from now on, with 1, or not any more, with -1.
func (m *Metrics) Held(change int) { m.held.Add(float64(change)) }

// Handshake counts the answer to a client's handshake. The reason is a word of a
// short list, and never anything that a client or an upstream has said.
func (m *Metrics) Handshake(code int, reason string) {
	m.handshakes.WithLabelValues(status(code), reason).Inc()
}

// clientGone is the status of a client that left before it was answered: no
// standard has it.
const clientGone = 499

// status is the label of a status code. An upstream may answer with any three digits,
// and each would be a series; what no standard has is "other".
func status(code int) string {
	if http.StatusText(code) == "" && code != clientGone {
		return "other"
	}
	return strconv.Itoa(code)
}

// AddTraffic counts what a connection relayed since it was last asked. Call it
// when the connection closes and, for those that live, before a scrape; neither
// number may be negative.
func (m *Metrics) AddTraffic(from Direction, messages, bytes int64) {
	m.traffic[from].messages.Add(float64(messages))
	m.traffic[from].bytes.Add(float64(bytes))
}

// BeforeScrape has f called before each scrape, and never twice at a time: the
// moment to add the traffic of live connections.
func (m *Metrics) BeforeScrape(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.beforeScrape = append(m.beforeScrape, f)
}

// Handler serves the metrics in the formats that Prometheus reads.
func (m *Metrics) Handler() http.Handler {
	// Exemplars are a part of OpenMetrics only.
	scrape := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.refresh()
		scrape.ServeHTTP(w, r)
	})
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) { m.registry.Describe(out) }

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.refresh()
	m.registry.Collect(out)
}

func (m *Metrics) refresh() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.beforeScrape {
		f()
	}
}
