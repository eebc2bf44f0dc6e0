// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
	"github.com/wsproxy/wsproxy/dataplane/relay/loop"
	"github.com/wsproxy/wsproxy/dataplane/socket"
	"github.com/wsproxy/wsproxy/dataplane/upstream"
)

// arrival is a client from when it was accepted until it has become a connection or
// was handed over to net/http. It is a visitor of the event loop: a worker's
// goroutine runs all of it but end.
type arrival struct {
	server *Server
	door   *door
	guest  *loop.Guest
	from   netip.AddrPort

	// read is what has come of the head that is being read, the client's and then
	// the upstream's, where it did not come at once.
	read []byte

	// The fields below are set when the client was admitted.

	conn  *conn
	head  *handshake.Head
	text  string // the client's head
	plain upstream.Plain
	// until is when the attempt has to be over.
	until core.Instant
	// request is what is still to be written to the upstream.
	request   []byte
	connected bool
	// up is the upstream once it has answered, and answer what is still to be written
	// of the 101.
	up     *upstream.Upstream
	answer []byte

	// cause is why the connection was ended before it was opened.
	cause atomic.Pointer[error]
}

// Turn implements loop.Visitor.
func (a *arrival) Turn() {
	switch {
	case a.up != nil:
		a.goOnAnswering()
	case a.conn != nil:
		a.dial()
	case a.guest.Deadline() == 0:
		a.guest.SetDeadline(a.guest.Now().Add(a.server.HeaderTimeout))
		a.readHead()
	case a.guest.Deadline() <= a.guest.Now():
		a.giveUp()
	default:
		a.readHead()
	}
}

// Evict implements loop.Visitor. Those who were admitted are gone before the loop
// ends.
func (a *arrival) Evict() { a.guest.Leave() }

// end is the connection's cancel.
func (a *arrival) end(cause error) {
	a.cause.CompareAndSwap(nil, &cause)
	a.guest.Call()
}

// headRead is how much of a head is read at once, which bounds what may come behind
// it: that is kept for net/http, and is not to be what a socket's buffer can hold.
const headRead = 8 << 10

// readHead reads the client's head.
func (a *arrival) readHead() {
	for {
		n, err := a.guest.Recv(core.Client, a.guest.Buffer()[:headRead])
		switch {
		case errors.Is(err, unix.EAGAIN) && a.guest.Watch(core.Client) == nil:
			return
		case err != nil:
			a.guest.Leave()
			return
		case n == 0:
			a.giveUp()
			return
		}
		b, seen := a.come(n)
		switch end, reading := handshake.PlainEnd(b, handshake.PlainRequest, seen); {
		case len(b) > maxHeaderBytes, reading == handshake.Unusual, reading == handshake.Finished && end < len(b),
			reading == handshake.Unfinished && !handshake.PlainLine(b):
			a.handOver(b)
			return
		case reading == handshake.Finished:
			a.admit(string(b))
			return
		default:
			a.keep(b)
		}
	}
}

// giveUp ends a client that does not say what it wants. Where it has begun to,
// net/http has an answer for it.
func (a *arrival) giveUp() {
	if len(a.read) > 0 {
		a.handOver(a.read)
	} else {
		a.guest.Leave()
	}
}

// come returns what has come of a head, the last n bytes of it just now.
func (a *arrival) come(n int) (b []byte, seen int) {
	b = a.guest.Buffer()[:n]
	if seen = len(a.read); seen > 0 {
		a.read = append(a.read, b...)
		b = a.read
	}
	return b, seen
}

// keep keeps what has come of a head: the worker's buffer is for others meanwhile.
func (a *arrival) keep(b []byte) {
	if len(a.read) == 0 {
		a.read = bytes.Clone(b)
	}
}

// handOver has net/http read what the client says, from the first byte on.
func (a *arrival) handOver(read []byte) {
	a.handOverTo(bytes.Clone(read), nil, -1)
}

// handOverTo hands over a client, with the opening unless that is nil, and what is
// left of the upstream where that goes on.
func (a *arrival) handOverTo(read []byte, o *opening, up int) {
	h := &handedOver{read: read, until: driver.Wall(a.guest.Deadline())}
	if o != nil {
		h.until = driver.Wall(a.until)
	}
	fd := a.guest.Part(core.Client)
	a.guest.Leave()
	// What is left needs no hurry, and may wait.
	go func() {
		if o != nil && up >= 0 {
			if o.begun.Conn, o.begun.Err = socket.Conn(up, nil, nil); o.begun.Err != nil {
				o.begun.Err = o.begun.Failed(upstream.StageHandshake, o.begun.Err)
			}
		}
		conn, err := socket.Conn(fd, nil, noRoom())
		if err != nil {
			o.abandon()
			a.server.notOpened(http.StatusServiceUnavailable, handshake.ReasonNoDescriptors, "client", a.from.Addr().String(), "detail", err.Error())
			return
		}
		h.Conn = conn
		h.opening.Store(o)
		a.door.offer(h)
	}()
}

// admit judges the client's head, and has its upstream dialed if that is plain.
func (a *arrival) admit(text string) {
	s, cfg := a.server, a.server.Config.Current()
	r, ok := handshake.ParseRequest(text)
	if !ok {
		a.handOver([]byte(text))
		return
	}
	r.RemoteAddr = a.from.String()
	if handshake.Check(r, cfg) != nil || s.drain.refusing.Load() {
		a.handOver([]byte(text)) // It is refused there.
		return
	}
	plain, ok := s.Dialer.PickPlain(cfg)
	if !ok {
		a.handOver([]byte(text))
		return
	}
	address := handshake.ClientIP(r, cfg)
	if s.Registry.Reserve(address, registry.Limits{Connections: cfg.MaxConnections, PerClient: cfg.MaxConnectionsPerClient}) != nil {
		plain.Release()
		a.handOver([]byte(text))
		return
	}
	a.text, a.plain, a.read = text, plain, nil
	a.conn = s.admit(r, address, a.end)
	a.head = handshake.TakeHead(r, cfg, a.conn.id().Name())
	head := a.plain.Begin(a.conn.trace(context.Background(), a.head), a.head)
	a.until = a.guest.Now().Add(cfg.ConnectTimeout)
	a.waitForUpstream()

	// Mostly it is sent before anything else is read into this buffer.
	var err error
	if a.request, err = head.AppendRequest(a.guest.Buffer()[:0], cfg); err != nil {
		a.fail(upstream.StageHandshake, err)
		return
	}
	fd, err := socket.Connect(plain.To, cfg.ReuseAddr)
	if err != nil {
		a.fail(upstream.StageDial, err)
		return
	}
	a.guest.Take(core.Upstream, fd)
	if err := a.guest.Watch(core.Client); err != nil {
		a.fail(upstream.StageDial, err)
		return
	}
	a.dial()
	a.request = bytes.Clone(a.request) // What is left of it.
}

// dial goes on with the attempt to get an upstream.
func (a *arrival) dial() {
	g := a.guest
	stage := upstream.StageDial
	if a.connected {
		stage = upstream.StageHandshake
	}
	switch cause := a.cause.Load(); {
	case cause != nil:
		a.fail(stage, *cause)
		return
	case g.Left(core.Client):
		a.drop(statusClientGone, handshake.ReasonClientLost)
		return
	case a.until <= g.Now():
		a.fail(stage, context.DeadlineExceeded)
		return
	case g.Deadline() <= g.Now():
		if upstream.Gone(a.server.Config.Current(), a.plain.Address) {
			a.fail(stage, upstream.ErrGone)
			return
		}
		a.waitForUpstream()
	}
	if len(a.request) > 0 {
		n, err := g.Send(core.Upstream, a.request)
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			a.fail(stage, fmt.Errorf("write: %w", err))
			return
		}
		a.request, a.connected = a.request[n:], a.connected || n > 0
	}
	if err := g.Watch(core.Upstream); err != nil {
		a.fail(stage, err)
		return
	}
	if len(a.request) == 0 {
		a.readAnswer()
	}
}

// waitForUpstream sets when to look whether there still is somebody to wait for.
func (a *arrival) waitForUpstream() {
	a.guest.SetDeadline(min(a.until, a.guest.Now().Add(upstream.LookEvery)))
}

const (
	// maxPlainAnswer bounds the 101 that is read here and the one that is written.
	maxPlainAnswer = 8 << 10
	// answerRead is how much is read at once, which bounds what may come behind it.
	answerRead = 4 << 10
)

// readAnswer reads the upstream's answer.
func (a *arrival) readAnswer() {
	for a.guest.Fresh(core.Upstream) {
		n, err := a.guest.Recv(core.Upstream, a.guest.Buffer()[:answerRead])
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil:
			a.fail(upstream.StageHandshake, fmt.Errorf("read: %w", err))
			return
		}
		b, seen := a.come(n)
		switch end, reading := handshake.PlainEnd(b, handshake.PlainSwitching, seen); {
		case n > 0 && reading == handshake.Unfinished && len(b) < maxPlainAnswer:
			a.keep(b)
		case reading == handshake.Finished:
			a.switchOver(b, end)
			return
		default:
			a.goOn(b)
			return
		}
	}
}

// drop ends a connection that was not opened.
func (a *arrival) drop(code int, reason handshake.Reason, fields ...any) {
	a.conn.notOpened(code, reason, fields...)
	a.guest.Leave()
	a.plain.Drop()
	a.conn.abandon()
}

// fail lets net/http go on after a failed attempt, with others if there are to be
// any.
func (a *arrival) fail(stage upstream.Stage, err error) {
	if fd := a.guest.Part(core.Upstream); fd >= 0 {
		_ = unix.Close(fd) // There is nothing left to be lost.
	}
	a.handOverTo([]byte(a.text), a.opening(upstream.Begun{Plain: a.plain, Err: a.plain.Failed(stage, err)}), -1)
}

// goOn lets net/http go on with an answer that is not plain, of which b was read.
func (a *arrival) goOn(b []byte) {
	up := a.guest.Part(core.Upstream)
	if socket.IsItsOwnPeer(up, a.plain.To) { // What was read is our request.
		_ = unix.Close(up) // There is nothing left to be lost.
		a.fail(upstream.StageDial, os.NewSyscallError("connect", unix.ECONNREFUSED))
		return
	}
	begun := upstream.Begun{Plain: a.plain, Read: bytes.Clone(b), Deadline: driver.Wall(a.until)}
	a.handOverTo([]byte(a.text), a.opening(begun), up)
}

func (a *arrival) opening(begun upstream.Begun) *opening {
	return &opening{conn: a.conn, head: a.head, begun: &begun, cause: func() error {
		if cause := a.cause.Load(); cause != nil {
			return *cause
		}
		return nil
	}}
}
