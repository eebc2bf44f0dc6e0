// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"unique"

	"google.golang.org/protobuf/proto"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// left is what is left of a connection that is gone: its last state, so that
// nothing of what it was made of is kept in memory.
type left struct {
	// said is kept once for all that said the same.
	said unique.Handle[said]
	// own are the times, and the rest as protobuf; commonly 50 to 70 bytes.
	own []byte
}

var _ Connection = left{}

// noLeft stands for one that is in another log.
var noLeft left

// said is what many connections have in common.
type said struct{ userAgent, origin, subprotocol, upstream, by, cause, lastUpstream string }

func saidOf(c *dataplanev1alpha1.Connection) said {
	end := c.GetEnd()
	return said{c.GetUserAgent(), c.GetOrigin(), c.GetSubprotocol(), c.GetUpstream(), end.GetBy(), end.GetCause(), end.GetUpstream()}
}

// leftOf returns what is left of a connection whose last state is given, with
// everything but what its ID says.
func leftOf(last *dataplanev1alpha1.Connection) left {
	s, t := saidOf(last), timesOf(last)
	said{}.into(last)
	times{}.into(last)
	own, _ := proto.MarshalOptions{}.MarshalAppend(t.append(nil), last) // It fails for texts that are no UTF-8 only, and Connection has none.
	s.into(last)
	t.into(last)
	return left{unique.Make(s), own}
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

// texts is what its texts take in memory, as if nobody else had said the same.
func (l left) texts() int { return len(l.own) + l.said.Value().bytes() }

// Describe implements Connection.
func (l left) Describe(into *dataplanev1alpha1.Connection) {
	t, rest := takeTimes(l.own)
	_ = proto.Unmarshal(rest, into) // It was marshalled here.
	l.said.Value().into(into)
	t.into(into)
}

// Disconnect implements Connection.
func (left) Disconnect(Disconnect) error { return ErrClosing }

// Send implements Connection.
func (left) Send(context.Context, Send) error { return ErrClosing }
