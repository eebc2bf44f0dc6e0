// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/wsproxy/wsproxy/dataplane/config"
)

// Picker chooses between the endpoints of a Service: the one with the fewest
// connections of this process, including those that are being opened, and one of
// them by chance where several have as few. Its counts do not depend on the
// configuration, so they outlive its changes. The zero Picker is ready for use.
type Picker struct {
	mu sync.Mutex
	// live has no entry for an address without connections.
	live map[string]*count // guarded by mu
}

// count is the number of connections of an address, guarded by the Picker's mu.
type count struct {
	address string
	n       int
	// release takes one off. It is one function for all, because every connection
	// keeps it.
	release func()
}

// Pick chooses one of the endpoints that are not going away, and counts a
// connection there until release is called, which is to be done once.
//
// Addresses in avoid, in the order in which they failed, are passed over where
// there is another: all of them if possible, else the latest ones, so that those
// who come back again and again go round. The error is ErrNoEndpoints.
func (p *Picker) Pick(endpoints []config.Endpoint, avoid ...string) (address string, release func(), err error) {
	var usable []string
	for _, e := range endpoints {
		if !e.Terminating {
			usable = append(usable, e.Address.String())
		}
	}
	if len(usable) == 0 {
		return "", nil, ErrNoEndpoints
	}
	usable = without(usable, avoid)

	p.mu.Lock()
	defer p.mu.Unlock()
	address = p.leastLocked(usable)
	return address, p.takeLocked(address), nil
}

// Take counts a connection to an address that needed no choice, until release is
// called, which is to be done once.
func (p *Picker) Take(address string) (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.takeLocked(address)
}

// Live returns the number of connections that are counted for an address.
func (p *Picker) Live(address string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.countLocked(address)
}

func (p *Picker) countLocked(address string) int {
	if c := p.live[address]; c != nil {
		return c.n
	}
	return 0
}

func (p *Picker) leastLocked(addresses []string) string {
	least := addresses[:0]
	for _, a := range addresses {
		switch {
		case len(least) == 0 || p.countLocked(a) < p.countLocked(least[0]):
			least = append(least[:0], a)
		case p.countLocked(a) == p.countLocked(least[0]):
			least = append(least, a)
		}
	}
	return least[rand.IntN(len(least))] // #nosec G404 -- nothing to be guessed.
}

func (p *Picker) takeLocked(address string) (release func()) {
	if p.live == nil {
		p.live = map[string]*count{}
	}
	c := p.live[address]
	if c == nil {
		c = &count{address: address}
		c.release = func() { p.release(c) }
		p.live[address] = c
	}
	c.n++
	return c.release
}

func (p *Picker) release(c *count) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.n--; c.n == 0 {
		delete(p.live, c.address)
	}
}

// without returns the addresses that are not to be avoided. Where that leaves
// none, those that failed first may be tried again first.
func without(addresses, avoid []string) []string {
	for ; len(avoid) > 0; avoid = avoid[1:] {
		left := slices.DeleteFunc(slices.Clone(addresses), func(a string) bool { return slices.Contains(avoid, a) })
		if len(left) > 0 {
			return left
		}
	}
	return addresses
}
