// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/wsproxy/wsproxy/dataplane/config"
)

const (
	headerForwarded    = "Forwarded"
	headerForwardedFor = "X-Forwarded-For"
)

// ClientIP returns the address of the client: the peer's, or where the peer is
// in spec.listen.trustedProxies, the right-most address that its X-Forwarded-For
// (Forwarded, where there is only that) reports and that is not a trusted proxy
// itself. What stands left of that may be invented.
//
// An entry that is no address ends the search, and the nearest proxy that is
// known counts as the client. The zero Addr means that the peer has no IP
// address.
func ClientIP(r *http.Request, cfg *config.Config) netip.Addr {
	client := peer(r)
	if !cfg.Trusted(client) {
		return client
	}
	nodes := reported(r.Header)
	for i := len(nodes) - 1; i >= 0; i-- {
		addr, ok := address(nodes[i])
		if !ok {
			break
		}
		client = addr
		if !cfg.Trusted(client) {
			break
		}
	}
	return client
}

func peer(r *http.Request) netip.Addr {
	addr, _ := address(r.RemoteAddr)
	return addr
}

// reported are the nodes that the request has come through, the client first.
// X-Forwarded-For wins over Forwarded: a proxy that knows only the former, and
// most do, lets through what a client puts into the latter.
func reported(header http.Header) []string {
	if lines := header[headerForwardedFor]; len(lines) > 0 {
		return strings.Split(strings.Join(lines, ","), ",")
	}
	elements, _ := parseForwarded(header[headerForwarded])
	nodes := make([]string, len(elements))
	for i, e := range elements {
		nodes[i] = e.node
	}
	return nodes
}
