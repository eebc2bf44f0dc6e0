// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"slices"
	"strconv"
)

// What permessage-deflate (RFC 7692 section 7.1) means for a client whose
// upstream is replaced in the middle of its connection:
//
// From client to upstream, the new upstream must be able to inflate what the
// client deflates. Its inflater starts with an empty window, so the client must
// never refer back to an earlier message: client_no_context_takeover must have
// been agreed on (section 7.1.1.2). And its window must be at least as large as
// the one the client was told to use: client_max_window_bits (7.1.2.2).
//
// From upstream to client, the new upstream's deflater starts empty, while the
// client's inflater may still hold the end of what the old one sent. That does
// no harm: DEFLATE refers back by distance, and a fresh deflater refers to
// nothing but what it has produced itself, which the client then has, too. So
// it does not matter whether the server may take context over, unless the first
// upstream had promised not to (server_no_context_takeover, 7.1.1.1): the client
// may then throw its window away after each message, so the new one must promise
// it as well. Likewise it must not use a larger window than the first one said
// (server_max_window_bits, 7.1.2.1).
//
// A message that the old upstream had sent in part cannot be continued; that is
// the relay's to see, with or without compression.
const (
	permessageDeflate       = "permessage-deflate"
	clientNoContextTakeover = "client_no_context_takeover"
	serverNoContextTakeover = "server_no_context_takeover"
	clientMaxWindowBits     = "client_max_window_bits"
	serverMaxWindowBits     = "server_max_window_bits"
)

// offerNoContextTakeover returns the offers with client_no_context_takeover in
// each offer of permessage-deflate, and whether it had to be added anywhere.
// Offers that cannot be read are left for the upstream to refuse.
func offerNoContextTakeover(lines []string) (offers string, changed bool) {
	extensions, ok := parseExtensions(lines)
	if !ok {
		return "", false
	}
	if changed = addNoContextTakeover(extensions); !changed {
		return "", false
	}
	return formatExtensions(extensions), true
}

// addNoContextTakeover adds the parameter to each permessage-deflate without it.
func addNoContextTakeover(extensions []extension) (changed bool) {
	for i, e := range extensions {
		if e.name == permessageDeflate && !e.has(clientNoContextTakeover) {
			extensions[i].params = append(e.params, param{name: clientNoContextTakeover})
			changed = true
		}
	}
	return changed
}

// Movable reports whether what the client sends under the agreed extensions can
// be understood by an upstream that joins later: without any extension, or with
// permessage-deflate alone and client_no_context_takeover. Of other extensions
// it is not known what they remember.
func Movable(extensions string) bool {
	agreed, ok := parseExtensions([]string{extensions})
	switch {
	case !ok:
		return false
	case len(agreed) == 0:
		return true
	case len(agreed) > 1 || agreed[0].name != permessageDeflate:
		return false
	default:
		return agreed[0].has(clientNoContextTakeover)
	}
}

// Injectable reports whether a message that is not the upstream's may be put
// between those of the upstream under the agreed extensions: without any, or with
// permessage-deflate alone, under which each message may be uncompressed (RFC 7692
// section 6) and one that is leaves the windows as they are. Of other extensions
// it is not known what they count.
func Injectable(extensions string) bool {
	agreed, ok := parseExtensions([]string{extensions})
	return ok && (len(agreed) == 0 || len(agreed) == 1 && agreed[0].name == permessageDeflate)
}

// Compatible reports whether a client that agreed with its first upstream on
// first can go on with one that agreed on again.
func Compatible(first, again Agreement) bool {
	if first.Subprotocol != again.Subprotocol {
		return false
	}
	before, ok1 := parseExtensions([]string{first.Extensions})
	after, ok2 := parseExtensions([]string{again.Extensions})
	return ok1 && ok2 && slices.EqualFunc(before, after, compatible)
}

func compatible(first, again extension) bool {
	if first.name != again.name {
		return false
	}
	if first.name != permessageDeflate {
		return sameParams(first.params, again.params)
	}
	deflate, ok1 := deflateOf(first)
	next, ok2 := deflateOf(again)
	return ok1 && ok2 &&
		deflate.clientNoContext &&
		deflate.clientWindow <= next.clientWindow &&
		deflate.serverWindow >= next.serverWindow &&
		(!deflate.serverNoContext || next.serverNoContext)
}

// sameParams reports whether both hold the same parameters, in whatever order.
func sameParams(first, again []param) bool {
	if len(first) != len(again) {
		return false
	}
	return !slices.ContainsFunc(first, func(p param) bool { return !slices.Contains(again, p) }) &&
		!slices.ContainsFunc(again, func(p param) bool { return !slices.Contains(first, p) })
}

// deflate is an agreed permessage-deflate. Windows are in bits.
type deflate struct {
	clientNoContext, serverNoContext bool
	clientWindow, serverWindow       int
}

// deflateOf reads the parameters of a response; it reports false for what RFC
// 7692 section 7.1 says must fail the connection: unknown parameters, repeated
// ones, and values that are out of range.
func deflateOf(e extension) (deflate, bool) {
	d := deflate{clientWindow: 15, serverWindow: 15}
	for i, p := range e.params {
		if slices.ContainsFunc(e.params[:i], func(before param) bool { return before.name == p.name }) {
			return d, false
		}
		ok := p.value == ""
		switch p.name {
		case clientNoContextTakeover:
			d.clientNoContext = true
		case serverNoContextTakeover:
			d.serverNoContext = true
		case clientMaxWindowBits:
			d.clientWindow, ok = windowBits(p.value)
		case serverMaxWindowBits:
			d.serverWindow, ok = windowBits(p.value)
		default:
			ok = false
		}
		if !ok {
			return d, false
		}
	}
	return d, true
}

// windowBits reads 8 to 15 without leading zeroes (RFC 7692 section 7.1.2).
func windowBits(value string) (int, bool) {
	bits, err := strconv.Atoi(value)
	return bits, err == nil && strconv.Itoa(bits) == value && 8 <= bits && bits <= 15
}
