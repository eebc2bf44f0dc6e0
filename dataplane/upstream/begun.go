// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

// Plain is an endpoint that can be dialed by who has no goroutine to wait with: TCP
// to an IP address and nothing above it.
type Plain struct {
	To netip.AddrPort
	// Address is To, in the spelling of Upstream.Address.
	Address string
	// Release takes the connection off the count of the endpoint, once.
	Release func()

	attempt attempt
}

// Begin begins the attempt, with the span in ctx as its parent, and returns the head
// to send.
func (p *Plain) Begin(ctx context.Context, head *handshake.Head) *handshake.Head {
	p.attempt, head = p.attempt.dialer.begin(ctx, head)
	return head
}

// Answered ends an attempt that got its 101.
func (p *Plain) Answered() { p.attempt.end(p.Address, nil) }

// Drop gives the endpoint up, and the attempt where it has not ended.
func (p *Plain) Drop() {
	p.attempt.end(p.Address, context.Canceled)
	p.Release()
}

// PickPlain picks an endpoint as Dial would. It is false where there is none or
// where it is not plain, and then nothing was picked.
func (d *Dialer) PickPlain(cfg *config.Config) (Plain, bool) {
	if cfg.UpstreamTLS != nil {
		return Plain{}, false
	}
	address, release, err := d.pick(cfg, nil)
	if err != nil {
		return Plain{}, false
	}
	// A zone would have to be looked up.
	to, err := netip.ParseAddrPort(address)
	if err != nil || to.Addr().Zone() != "" {
		release()
		return Plain{}, false
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	return Plain{To: to, Address: address, Release: release, attempt: attempt{dialer: d}}, true
}

// Failed is the error of an attempt that got no answer.
func (p *Plain) Failed(stage Stage, err error) error {
	return &AttemptError{Stage: stage, Address: p.Address, Err: err}
}

// Begun is a first attempt that somebody else has begun and does not finish:
// because it has failed, or because the answer is not plain.
type Begun struct {
	Plain
	// Err is why it failed; else the fields below are set.
	Err error
	// Conn is the connection, over which the request was sent.
	Conn net.Conn
	// Read is what was read of the answer.
	Read []byte
	// Deadline is when the attempt has to be over.
	Deadline time.Time
}

// Drop gives the attempt up.
func (b *Begun) Drop() {
	if b.Conn != nil {
		_ = b.Conn.Close() // There is nothing left to be lost.
	}
	b.Plain.Drop()
}

// finish is the rest of Dial.
func (b *Begun) finish(parent context.Context, head *handshake.Head) (u *Upstream, err error) {
	defer func() {
		ended := err
		if parent.Err() != nil {
			ended = context.Canceled // whatever the step made of it
		}
		b.attempt.end(b.Address, ended)
		if err != nil {
			b.Release()
		}
	}()
	if b.Err != nil {
		return nil, b.Err
	}
	ctx, cancel := context.WithDeadline(parent, b.Deadline)
	defer cancel()
	u, refused, err := ask(ctx, b.Conn, head, nil, b.Read)
	if err != nil {
		_ = b.Conn.Close()
		if cause := ctx.Err(); cause != nil {
			err = cause // and not what the step made of it
		}
		return nil, b.Failed(StageHandshake, err)
	}
	if u, err = answered(parent, b.Conn, b.Address, u, refused); u != nil {
		u.Release = b.Release
	}
	return u, err
}
