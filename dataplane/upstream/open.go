// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

// open speaks the opening handshake. It returns an upstream, or an answer other
// than 101 whose body is still to be read from conn, or an error; only in the
// first two cases conn lives on, without deadlines.
func open(ctx context.Context, conn net.Conn, cfg *config.Config, head *handshake.Head) (*Upstream, *Refused, error) {
	request, err := head.AppendRequest(nil, cfg)
	if err != nil {
		return nil, nil, err
	}
	return ask(ctx, conn, head, request, nil)
}

// ask is open from where the request is still to be written, or, where that is
// empty, some of the answer was read before.
func ask(ctx context.Context, conn net.Conn, head *handshake.Head, request, before []byte) (*Upstream, *Refused, error) {
	// A deadline in the past wakes the reader and the writer, now and later on.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	if len(request) > 0 {
		if _, err := conn.Write(request); err != nil {
			return nil, nil, err
		}
	}
	response, behind, err := (&answerReader{conn: conn, before: before}).response() //nolint:bodyclose // A 101 has none, a Refused takes it, and who ends conn ends it.
	if err != nil {
		return nil, nil, err
	}
	// stop returns false when the deadline above has been set, or will be.
	if !stop() {
		return nil, nil, ctx.Err()
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, &Refused{
			Status: response.StatusCode, Reason: reason(response), Header: response.Header,
			Body: response.Body, ContentLength: response.ContentLength,
		}, nil
	}
	agreed, err := handshake.Agree(head, response.Header)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrBadAnswer, err)
	}
	u := &Upstream{Conn: conn, Response: response.Header, Agreement: agreed}
	if n := behind.Buffered(); n > 0 {
		early, _ := behind.Peek(n)
		u.Early = bytes.Clone(early)
	}
	return u, nil, nil
}

// reason is the phrase behind the status code.
func reason(response *http.Response) string {
	if len(response.Status) <= len("200 ") {
		return ""
	}
	return response.Status[len("200 "):]
}

// body is the body of a refusal together with the connection that it comes from.
type body struct {
	io.Reader
	conn  net.Conn
	close func() error
}

// stream makes a body of what is left to be read from conn. It is bounded by
// bodyTimeout and ctx.
func stream(ctx context.Context, conn net.Conn, r io.Reader) *body {
	b := &body{Reader: r, conn: conn}
	b.within(bodyTimeout)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	b.close = sync.OnceValue(func() error {
		stop()
		return conn.Close()
	})
	return b
}

func (b *body) within(d time.Duration) { _ = b.conn.SetDeadline(time.Now().Add(d)) }

// Close ends the connection, however much of the body is left.
func (b *body) Close() error { return b.close() }
