// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/wsproxy/wsproxy/dataplane/config"
)

const (
	headerForwardedProto = "X-Forwarded-Proto"
	headerForwardedHost  = "X-Forwarded-Host"
	headerForwardedPort  = "X-Forwarded-Port"
)

// setForwarding replaces in out, a copy of the request's header, what says where
// the request comes from.
//
//   - From a peer that is not trusted, X-Forwarded-*, Forwarded and X-WebSocket-*
//     are removed, whatever they are; spelled with underscores from anybody.
//   - X-Forwarded-For and Forwarded get the peer's address at their end. Where a
//     trusted peer sent only one of them, the other is made from it (RFC 7239
//     section 7.4). Where it sent both, Forwarded is made anew from
//     X-Forwarded-For, so that the two agree with each other and with ClientIP.
//   - X-Forwarded-Proto is http or https, as with nginx and Envoy, and not ws or
//     wss: frameworks compare with these. X-Forwarded-Host is the Host that the
//     client asked for, X-Forwarded-Port its port. A trusted peer's are kept.
//   - X-WebSocket-Connection-Id is ours alone. Another proxy's names a connection
//     of that proxy, which nobody could find under it here.
func setForwarding(out http.Header, r *http.Request, cfg *config.Config, id string) {
	from := peer(r)
	trusted := cfg.Trusted(from)
	for name := range out {
		if isReserved(name) && (!trusted || strings.Contains(name, "_")) {
			delete(out, name)
		}
	}

	own := element{node: forNode(from), host: r.Host, proto: "http"}
	if r.TLS != nil {
		own.proto = "https"
	}
	// All in one piece of memory, because every handshake needs them.
	values := make([]string, 0, 6)
	set := func(name, value string) {
		values = append(values, value)
		out[name] = values[len(values)-1 : len(values) : len(values)]
	}
	last := own // What the nearest proxy says, where it says it in Forwarded only.
	elements, ok := parseForwarded(out[headerForwarded])
	if onlyForwarded := ok && len(elements) > 0 && len(out[headerForwardedFor]) == 0; onlyForwarded {
		last = elements[len(elements)-1]
		set(headerForwardedFor, forwardedFor(reported(out), from))
		set(headerForwarded, strings.Join(out[headerForwarded], ", ")+", "+own.String())
	} else {
		nodes := reported(out)
		set(headerForwarded, forwarded(nodes, own))
		set(headerForwardedFor, forwardedFor(nodes, from))
	}

	if first(out[headerForwardedProto]) == "" {
		if last.proto = strings.ToLower(last.proto); last.proto != "http" && last.proto != "https" {
			last.proto = own.proto
		}
		set(headerForwardedProto, last.proto)
	}
	if first(out[headerForwardedHost]) == "" {
		if last.host == "" {
			last.host = own.host
		}
		set(headerForwardedHost, last.host)
	}
	if first(out[headerForwardedPort]) == "" {
		set(headerForwardedPort, port(first(out[headerForwardedHost]), first(out[headerForwardedProto])))
	}
	set(HeaderConnectionID, id)
}

// first is the first line of a field, empty where there is none.
func first(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

// forwardedFor is the value of X-Forwarded-For: the nodes as they were reported,
// then the peer.
func forwardedFor(nodes []string, from netip.Addr) string {
	var b strings.Builder
	for _, node := range nodes {
		if node = trim(node); node != "" {
			b.WriteString(node)
			b.WriteString(", ")
		}
	}
	if !from.IsValid() {
		return b.String() + "unknown"
	}
	return b.String() + from.String()
}

// forwarded is the value of Forwarded for what X-Forwarded-For reports. A node
// that is no address is unknown there (RFC 7239 section 6.2).
func forwarded(nodes []string, own element) string {
	var b strings.Builder
	for _, node := range nodes {
		if trim(node) != "" {
			addr, _ := address(node)
			b.WriteString("for=" + forNode(addr) + ", ")
		}
	}
	return b.String() + own.String()
}

// String is the element as it is sent; its node is so already.
func (e element) String() string {
	return "for=" + e.node + ";host=" + quoted(e.host) + ";proto=" + e.proto
}

// port is the port of a host, else that of the protocol. Both may be lists, of
// which the first entry is the client's end.
func port(host, proto string) string {
	host, _, _ = strings.Cut(host, ",")
	if _, p, err := net.SplitHostPort(trim(host)); err == nil && p != "" {
		return p
	}
	switch proto, _, _ = strings.Cut(proto, ","); strings.ToLower(trim(proto)) {
	case "https", "wss":
		return "443"
	default:
		return "80"
	}
}
