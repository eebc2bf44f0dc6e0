// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

// headLimit bounds the head of an upstream's answer, with all 1xx before it and
// the few bytes that were read behind it.
const headLimit = 64 << 10

// open speaks the opening handshake. It returns an upstream, or an answer other
// than 101 whose body is still to be read from conn, or an error; only in the
// first two cases conn lives on, without deadlines.
func open(ctx context.Context, conn net.Conn, cfg *config.Config, head *handshake.Head) (*Upstream, *Refused, error) {
	// A deadline in the past wakes the reader and the writer, now and later on.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	request, err := head.AppendRequest(nil, cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrBadAnswer, err)
	}
	if _, err := conn.Write(request); err != nil {
		return nil, nil, err
	}
	limited := &io.LimitedReader{R: conn, N: headLimit}
	buffered := bufio.NewReader(limited)
	response, err := readResponse(buffered, limited)
	if err != nil {
		return nil, nil, err
	}
	// stop returns false when the deadline above has been set, or will be.
	if !stop() {
		return nil, nil, ctx.Err()
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		limited.N = 1<<63 - 1 // The body is bounded by time.
		return nil, &Refused{
			Status: response.StatusCode, Reason: reason(response), Header: response.Header,
			Body: response.Body, ContentLength: response.ContentLength,
		}, nil
	}
	agreed, err := handshake.Agree(head, response.Header)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrBadAnswer, err)
	}
	early, _ := buffered.Peek(buffered.Buffered())
	return &Upstream{Conn: conn, Early: bytes.Clone(early), Response: response.Header, Agreement: agreed}, nil, nil
}

// readResponse reads the first response that is 101 or not informational (RFC
// 9110 section 15.2: a client must be able to take 1xx that it did not ask for).
func readResponse(r *bufio.Reader, limited *io.LimitedReader) (*http.Response, error) {
	for {
		// An upstream that ends before it says a word has not answered at all.
		if _, err := r.Peek(1); err != nil {
			return nil, noEOF(err)
		}
		response, err := http.ReadResponse(r, nil)
		switch {
		case err != nil && limited.N <= 0:
			return nil, fmt.Errorf("%w: its head has more than %d bytes", ErrBadAnswer, headLimit)
		case err != nil:
			return nil, badAnswer(err)
		case response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols:
			return response, nil
		}
	}
}

// badAnswer tells an answer that is broken from one that broke off.
func badAnswer(err error) error {
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return noEOF(err)
	}
	return fmt.Errorf("%w: %w", ErrBadAnswer, err)
}

// noEOF makes an end before the end of the head unexpected.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
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
