// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// ErrClosing is what Disconnect and Send answer while the connection is closing
// already.
var ErrClosing = errors.New("the connection is closing already")

// Connection is what the registry wants from a connection. All methods may be
// called by any goroutine, and also after the connection was removed.
type Connection interface {
	// Describe fills in everything but the name, the uid and the version. Texts are
	// UTF-8 and of bounded length, whatever the client sent: protobuf carries nothing
	// else, and the history keeps them.
	Describe(into *dataplanev1alpha1.Connection)
	// Disconnect starts the closing of both legs and returns at once; from then
	// on Describe says PHASE_CLOSING. Its error is ErrClosing where the closing
	// has begun before.
	Disconnect(Disconnect) error
	// Send sends a message to the client, and returns nil when the kernel has taken
	// all of it; else, but for ErrInDoubt, the client never gets it. Until ctx ends it
	// waits for that. Its error is ErrClosing or one of those of Send.
	Send(context.Context, Send) error
}

// Send is a message to the client.
type Send struct {
	Binary  bool
	Payload []byte
	// DryRun: everything is checked, and nothing is sent.
	DryRun bool
}

// Why a message was not sent.
var (
	// ErrConnecting: the client waits for its upstream.
	ErrConnecting = errors.New("the connection is not open yet")
	// ErrExtension: client and upstream have agreed on an extension of which nobody
	// knows what a message of somebody else's would do to it.
	ErrExtension = errors.New("nothing can be sent under the extensions of this connection")
	// ErrTooBig: it is larger than a message to this client may be.
	ErrTooBig = errors.New("the message is too big")
	// ErrTooMany: too much waits for this client already.
	ErrTooMany = errors.New("too many messages wait for this client")
	// ErrNotTaken: the client did not read, or the upstream was within a long message
	// of its own, for so long that the message was withdrawn.
	ErrNotTaken = errors.New("the client takes nothing for now")
	// ErrInDoubt: a part of the message was written. The client may get it.
	ErrInDoubt = errors.New("the message was being written, and may arrive")
)

// Disconnect says how an administrator wants a connection to end.
type Disconnect struct {
	// Code of the close frame, one that may be sent.
	Code uint16
	// Reason in the close frame, at most 123 bytes of UTF-8.
	Reason string
	// Grace is how long to wait for the close handshake before both legs are
	// reset.
	Grace time.Duration
	// User who asked for it, for the log; may be empty.
	User string
}

// Entry is one connection in the registry; 48 bytes.
type Entry struct {
	id         ID
	connection Connection
	stamp      atomic.Int64
	// phase after its last change, guarded by the registry's mu.
	phase uint8
}

// ID is the identity under which the connection was added.
func (e *Entry) ID() ID { return e.id }

// Stamp is that of the last change: when the connection was added, or when its
// phase or its upstream changed since.
func (e *Entry) Stamp() clock.Stamp { return clock.Stamp(e.stamp.Load()) }

// Describe returns what is known of the connection at this moment, with the stamp
// of its last change as the version.
func (e *Entry) Describe() *dataplanev1alpha1.Connection {
	for {
		c := &dataplanev1alpha1.Connection{}
		stamp := e.Stamp()
		e.connection.Describe(c)
		if e.Stamp() != stamp {
			continue // A change came in between: phase and version may be of two.
		}
		c.Name, c.Uid, c.Version = e.id.Name(), e.id.UID(), int64(stamp)
		return c
	}
}

// Disconnect passes the wish on to the connection.
func (e *Entry) Disconnect(how Disconnect) error { return e.connection.Disconnect(how) }

// Send passes a message on to the connection.
func (e *Entry) Send(ctx context.Context, message Send) error { return e.connection.Send(ctx, message) }

// Connection is what was added.
func (e *Entry) Connection() Connection { return e.connection }
