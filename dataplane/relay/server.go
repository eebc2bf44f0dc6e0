// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/trace"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/metrics"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/upstream"
)

const (
	// headerTimeout is how long a client may take for the head of its handshake.
	headerTimeout = 10 * time.Second
	// idleTimeout is how long a client that was refused may keep its socket without
	// another request. No limit counts it.
	idleTimeout = 30 * time.Second
	// maxHeaderBytes bounds that head: room for large cookies and tokens.
	maxHeaderBytes = 64 << 10
	// maxKeptHead bounds what is kept of it for reconnects, in bytes.
	maxKeptHead = 8 << 10
)

// Options are what a Server is made from; all are required but the last six.
type Options struct {
	Config   *config.Store
	Registry *registry.Registry
	Metrics  *metrics.Metrics
	Dialer   *upstream.Dialer
	Logger   logr.Logger

	// AcceptWhileDraining is how long a draining server still takes new clients,
	// because load balancers go on sending them. 0 is 5 seconds.
	AcceptWhileDraining time.Duration
	// HeaderTimeout is how long a client may take for the head of its handshake. 0 is
	// 10 seconds.
	HeaderTimeout time.Duration
	// IdleTimeout is how long a client that was refused may keep its socket
	// without another request. 0 is 30 seconds.
	IdleTimeout time.Duration
	// Budget is what all connections together may keep for reconnects; nil is no
	// bound.
	Budget *core.Budget
	// Goroutines drives every connection with goroutines, also those that the event
	// loop could.
	Goroutines bool
	// Tracer makes the spans of handshakes; nil: nothing is traced.
	Tracer trace.Tracer
	// Churned is called when a connection comes or goes, if it is not nil. It must not
	// wait.
	Churned func()
}

// Server relays the connections of one proxy.
type Server struct {
	Options

	http     *http.Server
	settings atomic.Pointer[core.Settings]
	drain    drain
	drivers  drivers
	journal  journal
	unopened unopened
	sends    sends
	// ctx is that of attempts to reconnect; cancel ends them.
	ctx    context.Context
	cancel context.CancelFunc
	// live counts connections until their sockets are closed.
	live atomic.Int64
}

// New returns a server that obeys what the store has in force, at any time.
func New(options Options) *Server {
	if options.AcceptWhileDraining == 0 {
		options.AcceptWhileDraining = dataplanev1alpha1.AcceptWhileDraining
	}
	if options.HeaderTimeout == 0 {
		options.HeaderTimeout = headerTimeout
	}
	if options.IdleTimeout == 0 {
		options.IdleTimeout = idleTimeout
	}
	if options.Churned == nil {
		options.Churned = func() {}
	}
	s := &Server{Options: options}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.drivers.goroutines = options.Goroutines
	s.drain.begun = make(chan struct{})
	s.unopened.write = func(message string, fields []any) {
		s.journal.add(func() { s.Logger.Info(message, fields...) })
	}
	s.settings.Store(s.settingsOf(s.Config.Current()))
	s.Dialer.Current = s.Config.Current
	s.Config.OnChange(func(_, cfg *config.Config) { s.apply(cfg) })
	for cause, enders := range core.Enders {
		for _, by := range enders {
			s.Metrics.Expect(string(by), string(cause))
		}
	}
	s.Metrics.BeforeScrape(func() {
		for c := range s.connections() {
			c.reportTraffic()
		}
	})
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: options.HeaderTimeout,
		IdleTimeout:       options.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnContext:       connContext,
		ErrorLog:          newHTTPLog(s),
	}
	return s
}

// Serve accepts clients until the server is closed; one that has drained goes on
// answering 503. The listener
// is TLS where clients use wss.
func (s *Server) Serve(listener net.Listener) error {
	front, err := s.front(listener)
	if err != nil {
		return err
	}
	if err := s.http.Serve(front); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends everything at once, without close frames.
func (s *Server) Close() {
	s.drain.refusing.Store(true)
	_ = s.http.Close()                               // The sockets are gone either way.
	_ = s.await(context.Background(), (*conn).abort) // This context does not end.
	s.cancel()
	s.drivers.close()
	s.unopened.close()
	s.journal.flush(s.Logger)
}

// await ends what there is, in a way, until no connection is left. It looks again
// and again, because a client that was accepted before may turn up late.
func (s *Server) await(ctx context.Context, end func(*conn)) error {
	for {
		for c := range s.connections() {
			end(c)
		}
		if s.live.Load() == 0 && s.Registry.Len() == 0 {
			return nil
		}
		if err := sleep(ctx, awaitInterval); err != nil {
			return err
		}
	}
}

// awaitInterval is how often await looks: seldom enough to cost nothing, often
// enough that nobody waits for it.
const awaitInterval = 50 * time.Millisecond

// apply puts a configuration in force on the live connections.
func (s *Server) apply(cfg *config.Config) {
	settings := s.settingsOf(cfg)
	s.settings.Store(settings)
	for c := range s.connections() {
		c.apply(settings)
	}
}

// connections yields the live connections.
func (s *Server) connections() func(yield func(*conn) bool) {
	return func(yield func(*conn) bool) {
		for entry := range s.Registry.All() {
			if !yield(entry.Connection().(*conn)) {
				return
			}
		}
	}
}

// settingsOf compiles what the core obeys.
func (s *Server) settingsOf(cfg *config.Config) *core.Settings {
	return &core.Settings{
		LostTimeout:       cfg.ConnectionLostTimeout,
		AutoReconnect:     cfg.AutoReconnect,
		ReconnectAttempts: cfg.AutoReconnectMaxRetries,
		ReconnectDelay:    cfg.AutoReconnectRetryDelay,
		BufferBytes:       cfg.ReconnectBufferBytes,
		ReplayMessages:    cfg.ReplayMessages,
		MaxMessageBytes:   cfg.MaxMessageBytes,
		MessagesPerSecond: cfg.MessagesPerSecond,
		MaxAge:            cfg.MaxConnectionAge,
		Budget:            s.Budget,
		Random:            rand.Uint64,
	}
}
