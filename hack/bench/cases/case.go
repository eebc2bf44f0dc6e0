// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"slices"
	"strings"

	"github.com/wsproxy/wsproxy/hack/bench/peers"
	"github.com/wsproxy/wsproxy/hack/bench/results"
)

// Case is one measurement, which may give several rows.
type Case struct {
	// Name begins with the name of its figure: roundtrip-100-128.
	Name string
	Rows []results.Row
	// Rounds bounds how often it is worth doing, 0: as often as one likes.
	Rounds int
	// Slow cases are no part of a quick run unless they are asked for.
	Slow bool

	applies func(*peers.Peer) bool
	measure func(context.Context, *session) ([]results.Sample, error)
}

// Applies says whether a peer can be measured so.
func (c *Case) Applies(p *peers.Peer) bool { return c.applies(p) }

// Matches says whether one of some prefixes selects the case: roundtrip,
// roundtrip-100 and roundtrip-100-128 all select that one.
func (c *Case) Matches(prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		return c.Name == prefix || strings.HasPrefix(c.Name, prefix+"-")
	})
}

// All returns the cases in the order of the tables.
func All() []*Case {
	return slices.Concat(roundTrips(), flooding(), []*Case{handshake(), latency(), idle(), stalled(), silent(), kept()}, overTLS())
}

func plain(p *peers.Peer) bool { return p.Kind == peers.Plain }

// mover selects those for whom many bytes at once make a difference; splice is

// talker selects who is measured where little is said: splice is for much at once
// and not meant for this.
func talker(p *peers.Peer) bool { return plain(p) && p.Name != "floor-splice" }
