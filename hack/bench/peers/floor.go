// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import "strconv"

// floors are the relays of package native.
func floors(p Programs) []*Peer {
	configure := func(mode string) func(Place) ([]string, error) {
		return func(at Place) ([]string, error) {
			return []string{mode, at.Host, strconv.Itoa(at.Port), at.Upstream, strconv.Itoa(at.UpstreamPort), strconv.Itoa(at.Workers)}, nil
		}
	}
	return []*Peer{
		{Name: "floor", Title: "C relay, read and write", Program: p.Relay, configure: configure("copy")},
		{Name: "floor-splice", Title: "C relay, splice", Program: p.Relay, configure: configure("splice")},
	}
}
