// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/socket"
)

// Dialer opens WebSockets to upstreams. One serves all connections of a process.
type Dialer struct {
	// Picker counts the connections of each address.
	Picker Picker
	// Current returns the configuration that is in force. An attempt whose endpoint is
	// Gone meanwhile is given up; nil: none is.
	Current func() *config.Config
	// Tracer makes the spans of attempts, which are the parents of what upstreams do;
	// nil: nothing is traced, and heads are sent as they are.
	Tracer trace.Tracer
	// Attempted is told how long each attempt took, whether it was to replace an upstream
	// that was lost, and what came of it; nil: nobody is told. It must not wait.
	Attempted func(reconnect bool, outcome handshake.Reason, took time.Duration)

	tls credentials
}

// NewDialer returns a Dialer that reads the CA and the client certificate for
// the upstream from secretDir, under the names of the data-plane contract, anew
// at each attempt.
func NewDialer(secretDir string) *Dialer {
	return &Dialer{tls: credentials{dir: secretDir}}
}

// CheckCredentials says why the CA or the client certificate that a configuration
// asks for cannot be used; nil where it asks for none.
func (d *Dialer) CheckCredentials(cfg *config.Config) error {
	if cfg.UpstreamTLS == nil {
		return nil
	}
	_, err := d.tls.current(cfg.UpstreamTLS)
	return err
}

// Dial makes one attempt: it picks an endpoint other than those in avoid (see
// Picker.Pick) or takes the URL's host, and connects, secures and opens it within
// cfg.ConnectTimeout.
//
// The error is a *Refused where the upstream answered with something else, and
// then its body lives no longer than ctx; ErrNoEndpoints; else an *AttemptError.
// See Retryable and IsTimeout.
func (d *Dialer) Dial(ctx context.Context, cfg *config.Config, head *handshake.Head, avoid ...string) (*Upstream, error) {
	a, head := d.begin(ctx, head)
	u, err := d.dial(ctx, cfg, head, avoid)
	if err != nil {
		a.end(AddressOf(err), err)
		return nil, err
	}
	a.end(u.Address, nil)
	return u, nil
}

func (d *Dialer) dial(ctx context.Context, cfg *config.Config, head *handshake.Head, avoid []string) (*Upstream, error) {
	address, release, err := d.pick(cfg, avoid)
	if err != nil {
		return nil, err
	}
	u, err := d.attempt(ctx, cfg, head, address)
	if err != nil {
		release()
		return nil, err
	}
	u.Release = release
	return u, nil
}

func (d *Dialer) pick(cfg *config.Config, avoid []string) (address string, release func(), err error) {
	if cfg.UpstreamURL == nil {
		return d.Picker.Pick(cfg.Endpoints, avoid...)
	}
	address = hostPort(cfg.UpstreamURL)
	return address, d.Picker.Take(address), nil
}

// hostPort is what to dial for a URL: its port is that of HTTP where it has none
// (RFC 6455 section 3).
func hostPort(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "wss":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// attempt does it all under one deadline.
func (d *Dialer) attempt(parent context.Context, cfg *config.Config, head *handshake.Head, address string) (*Upstream, error) {
	ctx, cancel := context.WithTimeout(parent, cfg.ConnectTimeout)
	defer cancel()
	if cfg.UpstreamURL == nil {
		waiting, abandon := context.WithCancelCause(ctx)
		defer abandon(nil)
		defer d.lookOut(address, func() { abandon(ErrGone) })()
		ctx = waiting
	}
	// Where the deadline or a cancellation is why a step failed, it is the cause,
	// and not what the step made of it.
	failed := func(stage Stage, err error) error {
		switch cause := ctx.Err(); {
		case errors.Is(context.Cause(ctx), ErrGone):
			err = ErrGone
		case cause != nil:
			err = cause
		}
		return &AttemptError{Stage: stage, Address: address, Err: err}
	}

	// Lost upstreams are found by pings of ours, or not at all where
	// connectionLostTimeout is 0: not by the kernel.
	dialer := net.Dialer{Control: socket.ReuseAddr(cfg.ReuseAddr), KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, failed(StageDial, err)
	}
	remote := conn.RemoteAddr().String()
	if cfg.UpstreamURL == nil {
		remote = address // In the spelling that Pick avoids.
	}
	if cfg.UpstreamTLS != nil {
		secured, err := d.secure(ctx, conn, cfg.UpstreamTLS, address)
		if err != nil {
			_ = conn.Close()
			return nil, failed(StageTLS, err)
		}
		conn = secured
	}
	u, refused, err := open(ctx, conn, cfg, head)
	if err != nil {
		_ = conn.Close()
		return nil, failed(StageHandshake, err)
	}
	return answered(parent, conn, remote, u, refused)
}

// answered returns what came of an attempt that got an answer.
func answered(parent context.Context, conn net.Conn, remote string, u *Upstream, refused *Refused) (*Upstream, error) {
	if refused != nil {
		refused.Address = remote
		refused.Body = stream(parent, conn, refused.Body)
		return nil, refused
	}
	u.Address = remote
	return u, nil
}

func (d *Dialer) secure(ctx context.Context, conn net.Conn, want *config.UpstreamTLS, address string) (net.Conn, error) {
	tlsConfig, err := d.tls.config(want, address)
	if err != nil {
		return nil, err
	}
	secured := tls.Client(conn, tlsConfig)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secured, nil
}
