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
	FromClient   Direction = "from_client"
	FromUpstream Direction = "from_upstream"
)

// Sources are what is read at every scrape.
type Sources struct {
	// Connections is the number of live connections.
	Connections func() int
	// ConfigVersion is the version of the configuration in force.
	ConfigVersion func() uint64
	// Draining says whether the process is draining.
	Draining func() bool
	// ReconnectBytes is what is kept for reconnects, of ReconnectBytesLimit.
	ReconnectBytes, ReconnectBytesLimit func() int64
	// Version of the program.
	Version string
}

// Metrics counts what happens. Any number of goroutines may use it.
type Metrics struct {
	registry   *prometheus.Registry
	opened     prometheus.Counter
	closed     *prometheus.CounterVec
	messages   *prometheus.CounterVec
	bytes      *prometheus.CounterVec
	reconnects prometheus.Counter
	handshakes *prometheus.CounterVec
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
	}
	m.traffic = map[Direction]traffic{}
	for _, from := range [...]Direction{FromClient, FromUpstream} {
		m.traffic[from] = traffic{m.messages.WithLabelValues(string(from)), m.bytes.WithLabelValues(string(from))}
	}
	m.registry.MustRegister(m.opened, m.closed, m.messages, m.bytes, m.reconnects, m.handshakes)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(sources.collectors()...)
	return m
}

func (s Sources) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "wsproxy_connections",
			Help: "Live connections, from before the upstream is connected to.",
		}, func() float64 { return float64(s.Connections()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "wsproxy_config_version",
			Help: "Version of the configuration in force; 0 where none was pushed.",
		}, func() float64 { return float64(s.ConfigVersion()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "wsproxy_draining",
			Help: "1 while connections are drained, else 0.",
		}, func() float64 {
			if s.Draining() {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "wsproxy_reconnect_memory_bytes",
			Help: "Handshakes and messages of clients that are kept for reconnects.",
		}, func() float64 { return float64(s.ReconnectBytes()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "wsproxy_reconnect_memory_limit_bytes",
			Help: "What may be kept; beyond it held clients are not read from, and new connections are not reconnectable.",
		}, func() float64 { return float64(s.ReconnectBytesLimit()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "wsproxy_build_info",
			Help:        "Always 1; the label is the version of the program.",
			ConstLabels: prometheus.Labels{"version": s.Version},
		}, func() float64 { return 1 }),
	}
}

// Opened counts a connection that was answered 101.
func (m *Metrics) Opened() { m.opened.Inc() }

// Closed counts a connection that ended after it was opened. The words are those
// of the API's vocabulary.
func (m *Metrics) Closed(by, cause string) { m.closed.WithLabelValues(by, cause).Inc() }

// Reconnected counts a lost upstream that was replaced.
func (m *Metrics) Reconnected() { m.reconnects.Inc() }

// Handshake counts the answer to a client's handshake. The reason is a word of a
// short list, and never anything that a client or an upstream has said.
func (m *Metrics) Handshake(code int, reason string) {
	m.handshakes.WithLabelValues(strconv.Itoa(code), reason).Inc()
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
	scrape := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.refresh()
		scrape.ServeHTTP(w, r)
	})
}

func (m *Metrics) refresh() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.beforeScrape {
		f()
	}
}
