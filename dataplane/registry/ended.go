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
	// own is the rest as protobuf, commonly 60 to 80 bytes.
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

// newEnded returns the entry of a connection that is gone, with everything but
// what the entry knows.
func newEnded(id ID, last *dataplanev1alpha1.Connection) *Entry {
	e := &struct {
		Entry
		ended
	}{}
	e.id, e.connection = id, &e.ended
	s := saidOf(last)
	e.said = unique.Make(s)
	said{}.into(last)
	raw, _ := proto.Marshal(last) // It fails for texts that are no UTF-8 only, and Connection has none.
	s.into(last)
	e.own = string(raw)
	return &e.Entry
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
func (e *ended) bytes() int { return endedBytes + len(e.own) + e.said.Value().bytes() }

// Describe implements Connection.
func (e *ended) Describe(into *dataplanev1alpha1.Connection) {
	_ = proto.Unmarshal([]byte(e.own), into) // It was marshalled here.
	e.said.Value().into(into)
}

// Disconnect implements Connection.
func (*ended) Disconnect(Disconnect) error { return ErrClosing }

// Send implements Connection.
func (*ended) Send(context.Context, Send) error { return ErrClosing }
