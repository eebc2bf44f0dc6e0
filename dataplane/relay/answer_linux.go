// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
	"github.com/wsproxy/wsproxy/dataplane/relay/loop"
	"github.com/wsproxy/wsproxy/dataplane/upstream"
)

// switchOver answers the client with what is a 101, end bytes of b.
func (a *arrival) switchOver(b []byte, end int) {
	g, c := a.guest, a.conn
	header, ok := handshake.ParseSwitching(string(b[:end]))
	if !ok {
		a.goOn(b)
		return
	}
	agreed, err := handshake.Agree(a.head, header)
	if err != nil {
		a.fail(upstream.StageHandshake, fmt.Errorf("%w: %w", upstream.ErrBadAnswer, err))
		return
	}
	answer := handshake.AppendSwitching(g.Buffer()[answerRead:answerRead], header, agreed, c.id().Name())
	if len(answer) > maxPlainAnswer {
		a.goOn(b) // It would be kept here, where the socket does not take it at once.
		return
	}
	a.plain.Answered()
	// What came before the upstream's answer was an event before it, too.
	if g.Fresh(core.Client) && g.Waiting(core.Client) > 0 {
		var refusal bytes.Buffer
		_, _ = earlyBytes().WriteTo(&refusal)       // It takes everything.
		_, _ = g.Send(core.Client, refusal.Bytes()) // As good as it goes.
		a.drop(http.StatusBadRequest, handshake.ReasonEarlyBytes)
		return
	}
	a.up = &upstream.Upstream{Address: a.plain.Address, Agreement: agreed, Release: a.plain.Release}
	if end < len(b) {
		a.up.Early = bytes.Clone(b[end:])
	}
	a.answer = answer
	if !a.answerClient() {
		g.SetDeadline(g.Now().Add(answerTimeout))
	}
}

// answerClient writes what the client's socket takes of the 101, and begins the
// connection when that was all of it. It is false where the rest has to wait.
func (a *arrival) answerClient() bool {
	n, err := a.guest.Send(core.Client, a.answer)
	switch {
	case n == len(a.answer):
		a.start()
	case err != nil && !errors.Is(err, unix.EAGAIN):
		a.leave(fmt.Errorf("write: %w", err))
	default:
		a.answer = bytes.Clone(a.answer[n:]) // It is in the buffer.
		return false
	}
	return true
}

// goOnAnswering goes on with a 101 for which there was no room. Some of it may have
// been sent, so that no other answer is possible.
func (a *arrival) goOnAnswering() {
	switch cause := a.cause.Load(); {
	case cause != nil:
		a.leave(*cause)
	case a.guest.Left(core.Client):
		a.drop(statusClientGone, handshake.ReasonClientLost)
	case a.guest.Deadline() <= a.guest.Now():
		a.leave(fmt.Errorf("write: %w", context.DeadlineExceeded))
	default:
		_ = a.answerClient() // The deadline is set.
	}
}

// start makes the arrival a connection.
func (a *arrival) start() {
	c, up := a.conn, a.up
	c.accepted()
	var k *loop.Conn
	c.start(up, a.head, func() driver.Driver {
		k = a.guest.Start(c, up.Early)
		return k
	})
	k.Run()
}

// leave ends a connection whose client could not be given its 101.
func (a *arrival) leave(err error) {
	reason := handshake.ReasonClientLost
	if ended, ok := errors.AsType[*endedError](err); ok {
		reason = ended.refusalReason()
	}
	a.drop(statusClientGone, reason, "detail", err.Error())
}
