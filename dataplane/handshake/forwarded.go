// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"net/netip"
	"strings"
)

// element is what one proxy says in Forwarded about the request that it got (RFC
// 7239 section 4). What it leaves out is empty.
type element struct {
	node  string // for=, as sent: an address, "unknown" or an obfuscated name.
	host  string
	proto string
}

// parseForwarded reads the lines of Forwarded, the client's end first. Any fault
// spoils the whole: where a quote does not end, nobody can say which part came
// from a proxy and which from the client.
func parseForwarded(lines []string) ([]element, bool) {
	var elements []element
	p := scanner{s: strings.Join(lines, ", ")}
	for !p.end() {
		if p.byte(',') { // Lists may have empty elements (RFC 9110 section 5.6.1.2).
			continue
		}
		e, ok := p.element()
		if !ok || !p.end() && !p.byte(',') {
			return nil, false
		}
		elements = append(elements, e)
	}
	return elements, true
}

func (p *scanner) element() (element, bool) {
	var e element
	for {
		if name, ok := p.token(); ok {
			if !p.byte('=') {
				return element{}, false
			}
			value, ok := p.value()
			if !ok {
				return element{}, false
			}
			switch strings.ToLower(name) {
			case "for":
				e.node = value
			case "host":
				e.host = value
			case "proto":
				e.proto = value
			}
		}
		if !p.byte(';') {
			return e, true
		}
	}
}

// address reads a node of X-Forwarded-For or Forwarded: an address, which some
// proxies give a port, and then IPv6 its brackets.
func address(node string) (netip.Addr, bool) {
	node = trim(node)
	if ap, err := netip.ParseAddrPort(node); err == nil {
		return plain(ap.Addr()), true
	}
	if inner, ok := strings.CutPrefix(node, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); !ok {
			return netip.Addr{}, false
		}
		node = inner
	}
	addr, err := netip.ParseAddr(node)
	return plain(addr), err == nil
}

// plain is the form in which addresses are compared and shown: an IPv4 address
// in IPv6 form is the IPv4 address, and a zone means nothing elsewhere.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// forNode is an address as the value of for= (RFC 7239 section 6).
func forNode(addr netip.Addr) string {
	switch {
	case !addr.IsValid():
		return "unknown"
	case addr.Is6():
		return `"[` + addr.String() + `]"`
	default:
		return addr.String()
	}
}
