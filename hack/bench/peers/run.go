// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/wsproxy/wsproxy/hack/bench/proc"
)

// Running is a peer that accepts clients.
type Running struct {
	*Peer
	Place
	// Group is nil of Direct.
	*proc.Group
	// Roots verify a TLS peer.
	Roots *x509.CertPool
}

// startTimeout is how long a peer may take to listen: far more than any needs, for
// the machine may be busy.
const startTimeout = 20 * time.Second

// Start starts a peer and waits until it listens. It runs until Stop is called or
// ctx ends.
func (p *Peer) Start(ctx context.Context, at Place) (*Running, error) {
	if p.Kind == Direct {
		at.Host, at.Port = at.Upstream, at.UpstreamPort
		return &Running{Peer: p, Place: at}, nil
	}
	r := &Running{Peer: p, Place: at}
	var err error
	if p.Kind == TLS {
		if r.Roots, err = r.certify(); err != nil {
			return nil, err
		}
	}
	args, err := p.configure(r.Place)
	if err != nil {
		return nil, fmt.Errorf("configure %s: %w", p.Name, err)
	}
	r.Group, err = proc.Start(ctx, proc.Command{Args: append([]string{p.Program}, args...), Env: p.Env, Log: filepath.Join(at.Dir, "log")})
	if err != nil {
		return nil, err
	}
	if err := AwaitListener(ctx, r.Group, at.Host, at.Port); err != nil {
		r.Group.Stop()
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	return r, nil
}

// Stop ends it.
func (r *Running) Stop() {
	if r.Group != nil {
		r.Group.Stop()
	}
}

// certify writes a certificate for the place.
func (r *Running) certify() (*x509.CertPool, error) {
	certificate, key, err := selfSigned(r.Host)
	if err != nil {
		return nil, err
	}
	r.Cert, r.Key = filepath.Join(r.Dir, "tls.crt"), filepath.Join(r.Dir, "tls.key")
	for path, content := range map[string][]byte{r.Cert: certificate, r.Key: key} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return nil, err
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	return roots, nil
}

// AwaitListener waits until a port is listened on by a group.
func AwaitListener(ctx context.Context, g *proc.Group, host string, port int) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			conn.Close()
			return g.Refresh()
		}
		select {
		case <-g.Done():
			return g.Ended()
		case <-ctx.Done():
			return fmt.Errorf("nobody listens on port %d: %w: %w", port, ctx.Err(), g.Ended())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
