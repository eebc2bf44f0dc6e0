// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"net"
	"strconv"
)

// library are the proxies that a Go program has at hand.
func library(p Programs) []*Peer {
	configure := func(at Place) ([]string, error) {
		return []string{net.JoinHostPort(at.Host, strconv.Itoa(at.Port)), net.JoinHostPort(at.Upstream, strconv.Itoa(at.UpstreamPort))}, nil
	}
	return []*Peer{
		{Name: "reverseproxy", Title: "Go's httputil.ReverseProxy", Program: p.ReverseProxy, configure: configure},
		{Name: "gorilla", Title: "a pump of messages on gorilla/websocket", Program: p.Pump, configure: configure},
	}
}
