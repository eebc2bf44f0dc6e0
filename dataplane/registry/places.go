// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"errors"
	"net/netip"
	"sync"
)

// Why there is no place for a client.
var (
	// ErrFull says that the pod has as many connections as it may have.
	ErrFull = errors.New("the pod has as many connections as it may have")
	// ErrClientFull says that the client has as many connections as it may have.
	ErrClientFull = errors.New("the client has as many connections as it may have")
)

// Limits are the numbers of connections that are allowed; 0 is no limit.
type Limits struct {
	// Connections of the whole pod.
	Connections int
	// PerClient of one client address.
	PerClient int
}

// places counts who is connected. Everybody is counted, limits or not, so that a
// limit that is set later knows those who are there.
type places struct {
	mu sync.Mutex
	// The fields below are guarded by mu.
	taken   int
	clients table[netip.Addr, int]
}

// Reserve takes a place for a connection of the client, from before its handshake
// until Release is called, once, with the same address. The error is ErrFull or
// ErrClientFull.
func (r *Registry) Reserve(client netip.Addr, limits Limits) error {
	return r.places.take(placeOf(client), limits)
}

// Release gives a place of the client back. Whoever reserved it has to see to it
// that this happens once: a function that does is kept with every connection, and
// larger than what it releases.
func (r *Registry) Release(client netip.Addr) { r.places.giveBack(placeOf(client)) }

// placeOf is the address under which a client is counted.
func placeOf(client netip.Addr) netip.Addr { return client.Unmap().WithZone("") }

func (p *places) take(client netip.Addr, limits Limits) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if limits.Connections > 0 && p.taken >= limits.Connections {
		return ErrFull
	}
	if limits.PerClient > 0 && p.clients.of[client] >= limits.PerClient {
		return ErrClientFull
	}
	p.taken++
	p.clients.set(client, p.clients.of[client]+1)
	return nil
}

func (p *places) giveBack(client netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if n := p.clients.of[client] - 1; n > 0 {
		p.clients.set(client, n)
	} else {
		p.clients.delete(client)
	}
}
