// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Options say how many clients talk, and how.
type Options struct {
	// URL of the echo: ws or wss.
	URL string
	// Header is sent with each handshake.
	Header http.Header
	// Connections is the number of clients, at least 1.
	Connections int
	// Rate is the number of messages per second and connection; 0: they are
	// silent.
	Rate float64
	// Size of a message in bytes. Messages that name themselves need up to 64,
	// and a smaller size is raised to what they need.
	Size int
	// Ramp is the time over which the connections are opened.
	Ramp time.Duration
	// Settle bounds how long Stop waits for the echoes outstanding, and again
	// for the peers' close frames. 0: 10 s.
	Settle time.Duration
	// HandshakeTimeout bounds one handshake. 0: 60 s, since a proxy may try an
	// upstream more than once.
	HandshakeTimeout time.Duration
}

// Fleet is clients that talk until they are stopped.
type Fleet struct {
	options Options
	dialer  *websocket.Dialer
	start   time.Time
	// stop ends the talking.
	stop context.CancelFunc
	// answered is done when every handshake has been answered, talking when
	// every writer has returned.
	answered, talking sync.WaitGroup

	connections []*connection
}

// Start opens the connections and lets them talk until ctx ends or Stop is
// called; Stop is to be called in any case. Errors: options that cannot be used.
func Start(ctx context.Context, options Options) (*Fleet, error) {
	f, err := prepare(options)
	if err != nil {
		return nil, err
	}
	ctx, f.stop = context.WithCancel(ctx)
	for number := range options.Connections {
		c := &connection{number: number, fleet: f, over: make(chan struct{})}
		f.connections = append(f.connections, c)
	}
	f.answered.Add(len(f.connections))
	for _, c := range f.connections {
		f.talking.Go(func() { f.live(ctx, c) })
	}
	return f, nil
}

// prepare returns a fleet without clients. Errors: options that cannot be used.
func prepare(options Options) (*Fleet, error) {
	target, err := url.Parse(options.URL)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if target.Scheme != "ws" && target.Scheme != "wss" {
		return nil, fmt.Errorf("url: scheme is ws or wss, not %q", target.Scheme)
	}
	if options.Connections < 1 {
		return nil, fmt.Errorf("connections: at least 1, not %d", options.Connections)
	}
	if options.Rate < 0 || options.Rate > 10000 {
		return nil, fmt.Errorf("rate: 0 to 10000 per second, not %v", options.Rate)
	}
	options.Header = headerOf(options.Header)
	options.Settle = orElse(options.Settle, 10*time.Second)
	return &Fleet{
		options: options,
		start:   time.Now(),
		dialer: &websocket.Dialer{
			HandshakeTimeout: orElse(options.HandshakeTimeout, 60*time.Second),
			ReadBufferSize:   1024,
			WriteBufferSize:  1024,
			WriteBufferPool:  &sync.Pool{},
		},
	}, nil
}

func orElse(d, absent time.Duration) time.Duration {
	if d == 0 {
		return absent
	}
	return d
}

// live is the life of one client: its turn in the ramp, handshake, talk.
func (f *Fleet) live(ctx context.Context, c *connection) {
	turn := time.NewTimer(f.options.Ramp * time.Duration(c.number) / time.Duration(len(f.connections)))
	defer turn.Stop()
	select {
	case <-turn.C:
	case <-ctx.Done():
	}
	conn := c.open(ctx)
	f.answered.Done()
	if conn != nil {
		c.talk(ctx, conn)
	}
}

// Opened waits until every handshake has been answered. Errors: ctx's, or one
// that says how many handshakes failed and why one of them did.
func (f *Fleet) Opened(ctx context.Context) error {
	answered := make(chan struct{})
	go func() {
		f.answered.Wait()
		close(answered)
	}()
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait for %d handshakes: %w", len(f.connections), context.Cause(ctx))
	case <-answered:
	}
	var failures []error
	for _, c := range f.connections {
		c.mu.Lock()
		if c.failure != nil {
			failures = append(failures, c.failure)
		}
		c.mu.Unlock()
	}
	if len(failures) > 0 {
		return fmt.Errorf("%d of %d handshakes failed, one of them: %w", len(failures), len(f.connections), failures[0])
	}
	return nil
}

// Quiet waits until no echo is outstanding on any open connection, which a
// fleet that goes on talking may never be. Errors: ctx's.
func (f *Fleet) Quiet(ctx context.Context) error {
	check := time.NewTicker(20 * time.Millisecond)
	defer check.Stop()
	for {
		var outstanding uint64
		for _, c := range f.connections {
			outstanding += c.outstanding()
		}
		if outstanding == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d echoes: %w", outstanding, context.Cause(ctx))
		case <-check.C:
		}
	}
}

// Stop ends the talking, waits for the echoes outstanding, closes with code
// 1000 what is still open, and reports. When ctx ends it waits no longer.
func (f *Fleet) Stop(ctx context.Context) *Report {
	f.stop()
	settled, cancel := context.WithTimeout(ctx, f.options.Settle)
	f.fallSilent(settled)
	// What did not come in time is missing, and the report says so.
	_ = f.Quiet(settled)
	cancel()
	f.part(ctx)
	f.talking.Wait()
	return f.Report()
}

// fallSilent waits until nobody says anything any more, or until ctx ends: an echo
// owes no answer to what is said right before a close frame.
func (f *Fleet) fallSilent(ctx context.Context) {
	silent := make(chan struct{})
	go func() {
		f.talking.Wait()
		close(silent)
	}()
	select {
	case <-silent:
	case <-ctx.Done():
	}
}

// part closes every connection, waits for the peers' close frames and cuts who
// does not send one. A connection each has a goroutine, because a close frame
// waits behind a message that the peer does not take.
func (f *Fleet) part(ctx context.Context) {
	patience, cancel := context.WithTimeout(ctx, f.options.Settle)
	defer cancel()
	var parting sync.WaitGroup
	for _, c := range f.connections {
		parting.Go(func() {
			c.close()
			select {
			case <-c.over:
			case <-patience.Done():
				c.cut()
				<-c.over
			}
		})
	}
	parting.Wait()
}

// ErrClosed and ErrLost are what Check finds.
var (
	ErrClosed = errors.New("connections were closed or never opened")
	ErrLost   = errors.New("messages were lost, doubled, out of order or foreign")
)
