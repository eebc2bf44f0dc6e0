// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"unique"

	"google.golang.org/protobuf/proto"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// ended stands in the history for a connection that is gone: its last state, so
// that nothing of what it was made of is kept in memory.
type ended struct {
	// said is kept once for all that said the same.
	said unique.Handle[said]
	// own are the times, and the rest as protobuf; commonly 50 to 70 bytes.
	own string
}

// said is what many connections have in common.
type said struct{ userAgent, origin, subprotocol, upstream, by, cause, lastUpstream string }

func saidOf(c *dataplanev1alpha1.Connection) said {
	end := c.GetEnd()
	return said{c.GetUserAgent(), c.GetOrigin(), c.GetSubprotocol(), c.GetUpstream(), end.GetBy(), end.GetCause(), end.GetUpstream()}
}

// endedBytes is what an ended connection takes in memory beside its texts.
const endedBytes = 48 + 24

var _ Connection = (*ended)(nil)

// left is the entry of a connection that is gone.
type left struct {
	Entry
	ended
}

// newEnded returns the entry of a connection that is gone, with everything but
// what the entry knows.
func newEnded(id ID, last *dataplanev1alpha1.Connection) *left {
	s, t := saidOf(last), timesOf(last)
	said{}.into(last)
	times{}.into(last)
	own, _ := proto.MarshalOptions{}.MarshalAppend(t.append(nil), last) // It fails for texts that are no UTF-8 only, and Connection has none.
	s.into(last)
	t.into(last)
	e := &left{ended: ended{unique.Make(s), string(own)}}
	e.id, e.connection = id, &e.ended
	return e
}

func (s said) into(c *dataplanev1alpha1.Connection) {
	c.UserAgent, c.Origin, c.Subprotocol, c.Upstream = s.userAgent, s.origin, s.subprotocol, s.upstream
	if end := c.GetEnd(); end != nil {
		end.By, end.Cause, end.Upstream = s.by, s.cause, s.lastUpstream
	}
}

func (s said) bytes() int {
	return len(s.userAgent) + len(s.origin) + len(s.subprotocol) + len(s.upstream) + len(s.by) + len(s.cause) + len(s.lastUpstream)
}

// bytes is what it takes in memory, as if nobody else had said the same.
func (e *ended) bytes() int { return endedBytes + e.texts() }

func (e *ended) texts() int { return len(e.own) + e.said.Value().bytes() }

// Describe implements Connection.
func (e *ended) Describe(into *dataplanev1alpha1.Connection) {
	t, rest := takeTimes(e.own)
	_ = proto.Unmarshal([]byte(rest), into) // It was marshalled here.
	e.said.Value().into(into)
	t.into(into)
}

// Disconnect implements Connection.
func (*ended) Disconnect(Disconnect) error { return ErrClosing }

// Send implements Connection.
func (*ended) Send(context.Context, Send) error { return ErrClosing }
