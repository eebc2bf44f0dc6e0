// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import "time"

// Settings are what every connection of a proxy obeys. They are compiled once
// per snapshot, shared by all connections and never changed in place.
type Settings struct {
	// LostTimeout is the silence after which a leg is lost; 0 is off.
	LostTimeout time.Duration
	// AutoReconnect holds the client when the upstream is lost.
	AutoReconnect bool
	// ReconnectAttempts bounds the attempts to get it back.
	ReconnectAttempts int
	// ReconnectDelay is the pause between them.
	ReconnectDelay time.Duration
	// BufferBytes bounds what is kept of the client's messages meanwhile.
	BufferBytes int
	// ReplayMessages is the number of first messages that a new upstream is told.
	ReplayMessages int
	// MaxMessageBytes bounds the payload of a message; 0 is no bound.
	MaxMessageBytes int64
	// MessagesPerSecond bounds the client's messages; 0 is no bound.
	MessagesPerSecond int
	// MaxAge bounds the life of a connection; 0 is no bound.
	MaxAge time.Duration
	// Budget is what all connections together may keep for reconnects; nil is no
	// bound. It is the same one in all Settings of a process.
	Budget *Budget
	// Random returns uniform 64-bit numbers, for masking keys, ping payloads and
	// jitter (RFC 6455 section 10.3 wants masking keys that the application cannot
	// foresee). It is the same one in all Settings of a process, too.
	Random func() uint64
}

// JitterShare is the largest part of a pause that is added to it, so that many
// connections that lost the same upstream do not come back in step.
const JitterShare = 0.2

// jittered returns d with up to JitterShare of it on top, never less than d.
func jittered(d time.Duration, random uint64) time.Duration {
	share := float64(random>>11) / (1 << 53) // uniform in [0, 1)
	return d + time.Duration(share*JitterShare*float64(d))
}
