// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
	"github.com/wsproxy/wsproxy/dataplane/relay/tcp"
	"github.com/wsproxy/wsproxy/dataplane/upstream"
)

// retryAfter is what clients are told that come too many or too late: long enough
// to spare the pod, short enough not to be noticed much.
const retryAfter = 5 * time.Second

// answerTimeout is how long a client may take to receive its 101.
const answerTimeout = 10 * time.Second

// errEarlyBytes says that a client spoke before it was answered.
var errEarlyBytes = errors.New("bytes before the answer to the handshake")

func earlyBytes() *handshake.Refusal {
	return handshake.Refuse(http.StatusBadRequest, handshake.ReasonEarlyBytes, "%s", errEarlyBytes)
}

// serve answers one request: with the 101 of an upstream, with that upstream's
// refusal, or with one of ours.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if o := openingOf(r.Context()); o != nil {
		s.resume(w, r, o)
		return
	}
	cfg := s.Config.Current()
	refusal := handshake.Check(r, cfg)
	if refusal == nil && s.drain.refusing.Load() {
		refusal = handshake.RefuseFor(http.StatusServiceUnavailable, handshake.ReasonDrained, retryAfter, "this proxy is going away")
	}
	if refusal != nil {
		s.refuse(w, r, cfg, refusal)
		return
	}
	address := handshake.ClientIP(r, cfg)
	err := s.Registry.Reserve(address, registry.Limits{Connections: cfg.MaxConnections, PerClient: cfg.MaxConnectionsPerClient})
	if err != nil {
		s.refuse(w, r, cfg, limitRefusal(err))
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	c := s.admit(r, address, cancel)
	head := handshake.NewHead(r, cfg, c.id().Name())
	ctx = c.trace(ctx, head)
	s.open(ctx, w, r, c, func(onAttempt func(int, error)) (*upstream.Upstream, error) {
		return s.Dialer.Connect(ctx, s.Config.Current, head, onAttempt)
	}, head)
}

// resume goes on with a handshake that an arrival has begun.
func (s *Server) resume(w http.ResponseWriter, r *http.Request, o *opening) {
	ctx, cancel := context.WithCancelCause(r.Context())
	o.conn.mu.Lock()
	o.conn.passing.cancel = cancel
	o.conn.mu.Unlock()
	if cause := o.cause(); cause != nil { // which came before cancel could be told
		cancel(cause)
	}
	ctx = o.conn.traceAgain(ctx)
	s.open(ctx, w, r, o.conn, func(onAttempt func(int, error)) (*upstream.Upstream, error) {
		return s.Dialer.ConnectFrom(ctx, o.begun, s.Config.Current, o.head, onAttempt)
	}, o.head)
}

// admit puts a client that has a place into the registry.
func (s *Server) admit(r *http.Request, address netip.Addr, cancel context.CancelCauseFunc) *conn {
	c := newConn(s, r, address, cancel)
	s.live.Add(1)
	s.Registry.AddIn(&c.entry, c)
	return c
}

// dialFunc gets a client its upstream.
type dialFunc func(onAttempt func(n int, err error)) (*upstream.Upstream, error)

// open gets an admitted client its upstream and answers it.
func (s *Server) open(ctx context.Context, w http.ResponseWriter, r *http.Request, c *conn, dial dialFunc, head *handshake.Head) {
	opened := false
	defer func() { // also where connect panics, as net/http wants it to abort an answer
		if !opened {
			c.mu.Lock()
			cancel := c.passing.cancel
			c.mu.Unlock()
			cancel(nil)
			c.abandon()
		}
	}()
	opened = s.connect(ctx, w, r, c, dial, head)
}

func limitRefusal(err error) *handshake.Refusal {
	if errors.Is(err, registry.ErrClientFull) {
		return handshake.RefuseFor(http.StatusTooManyRequests, handshake.ReasonMaxConnectionsPerClient, retryAfter, "too many connections from this client")
	}
	return handshake.RefuseFor(http.StatusServiceUnavailable, handshake.ReasonMaxConnections, retryAfter, "too many connections")
}

// connect gets the client its upstream and answers it. It returns false where
// the connection did not come about.
func (s *Server) connect(ctx context.Context, w http.ResponseWriter, r *http.Request, c *conn, dial dialFunc, head *handshake.Head) bool {
	up, err := dial(func(n int, err error) {
		if err != nil {
			c.debug("attempt failed", "attempt", n+1, "error", err.Error())
		}
	})
	if err != nil {
		s.answerFailure(ctx, w, r, c, err)
		return false
	}
	sock, err := s.answer(w, up, c)
	if err != nil {
		_ = up.Conn.Close() // The error that counts is err.
		up.Release()
		if errors.Is(err, errEarlyBytes) {
			c.notOpened(http.StatusBadRequest, handshake.ReasonEarlyBytes)
		} else {
			c.notOpened(statusClientGone, handshake.ReasonClientLost, "detail", err.Error())
		}
		return false
	}
	c.accepted()
	c.start(up, head, func() driver.Driver { return s.drive(c, sock, up) })
	return true
}

// statusClientGone is the status of a client that left before it was answered, in
// logs and metrics only: the convention that nginx began.
const statusClientGone = 499

// answerFailure answers a client that gets no upstream.
func (s *Server) answerFailure(ctx context.Context, w http.ResponseWriter, r *http.Request, c *conn, err error) {
	if refused, ok := errors.AsType[*upstream.Refused](err); ok {
		c.notOpened(refused.Status, handshake.ReasonUpstreamRefused, "upstream", refused.Address)
		if err := refused.Write(w); err != nil {
			panic(http.ErrAbortHandler) // so that the client can tell that a part is missing
		}
		return
	}
	if ended, ok := errors.AsType[*endedError](context.Cause(ctx)); ok {
		refusal := handshake.RefuseFor(http.StatusServiceUnavailable, ended.refusalReason(), retryAfter, "%s", ended.reason)
		c.notOpened(refusal.Status, refusal.Reason, "detail", refusal.Body)
		refusal.Write(w)
		return
	}
	if r.Context().Err() != nil {
		c.notOpened(statusClientGone, handshake.ReasonClientLost)
		return
	}
	refusal := upstream.Answer(err)
	c.notOpened(refusal.Status, refusal.Reason, "detail", said(err.Error(), maxPath))
	refusal.Write(w)
}

// refuse answers a client that is not admitted.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, cfg *config.Config, refusal *handshake.Refusal) {
	fields := []any{"client", handshake.ClientIP(r, cfg).String(), "path", said(r.URL.EscapedPath(), maxPath)}
	if origin := r.Header.Get("Origin"); origin != "" {
		fields = append(fields, "origin", said(origin, maxSaid))
	}
	s.notOpened(refusal.Status, refusal.Reason, append(fields, "detail", refusal.Body)...)
	refusal.Write(w)
}

// answer takes the socket from net/http and sends the 101.
func (s *Server) answer(w http.ResponseWriter, up *upstream.Upstream, c *conn) (net.Conn, error) {
	sock, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	sock, left := plainly(sock)
	_ = sock.SetDeadline(time.Now().Add(answerTimeout)) // A dead socket fails the write below.
	if left+buffered.Reader.Buffered() > 0 || tcp.InfoOf(sock).Waiting() > 0 {
		// RFC 6455 section 4.1 has the client wait for the answer.
		_, _ = earlyBytes().WriteTo(sock)
		_ = sock.Close()
		return nil, errEarlyBytes
	}
	if err := up.WriteSwitchingProtocols(sock, c.id().Name()); err != nil {
		_ = sock.Close()
		return nil, err
	}
	_ = sock.SetDeadline(time.Time{})
	return sock, nil
}
