// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// The headers of this package, in the form in which http.Header has them.
const (
	// HeaderConnectionID carries the name of the connection: to the upstream at
	// every handshake, and to the client with the 101.
	HeaderConnectionID = "X-Websocket-Connection-Id"
	// HeaderReconnect carries the number of the attempt to get a lost upstream
	// back, from 1.
	HeaderReconnect = "X-Websocket-Reconnect"

	headerKey        = "Sec-Websocket-Key"
	headerAccept     = "Sec-Websocket-Accept"
	headerVersion    = "Sec-Websocket-Version"
	headerProtocol   = "Sec-Websocket-Protocol"
	headerExtensions = "Sec-Websocket-Extensions"
)

// hopByHop are the fields that concern one connection only, whether or not
// Connection names them (RFC 9110 section 7.6.1; the Proxy fields section 11.7,
// HTTP2-Settings RFC 7540 section 3.2.1, Proxy-Connection what browsers once
// sent). Proxy is none of these: it is what a CGI program would take for the
// variable HTTP_PROXY, and no client has any business with that.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info", "Http2-Settings", "Proxy",
}

// RemoveHopByHop removes from a header what concerns one connection only:
// Connection, the fields that it names, and those that do so by definition.
//
// Connection cannot name the fields on which the handshake and the knowledge of
// who the client is rest: with it a client could make a trusted proxy's
// X-Forwarded-For vanish on its way.
func RemoveHopByHop(header http.Header) {
	for _, value := range header["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			name = http.CanonicalHeaderKey(trim(name))
			if !isReserved(name) && !strings.HasPrefix(name, "Sec-Websocket-") && name != "Host" {
				delete(header, name)
			}
		}
	}
	for _, name := range hopByHop {
		delete(header, name)
	}
}

// isReserved reports whether a field is one that only trusted proxies and we
// ourselves may set. An underscore counts as a hyphen, because CGI and what came
// after it cannot tell them apart.
func isReserved(name string) bool {
	if name == "" || name[0]|0x20 != 'f' && name[0]|0x20 != 'x' {
		return false // as most are, and without another spelling of them
	}
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return name == "forwarded" || strings.HasPrefix(name, "x-forwarded-") || strings.HasPrefix(name, "x-websocket-")
}

// AppendHeader appends the lines of a header in the order of their names,
// without the empty line at the end. The names of WebSocket's fields get the
// spelling of RFC 6455, because there are peers who compare with it. What would
// not be one well-formed line is left out.
func AppendHeader(b []byte, header http.Header) []byte {
	var few [32]string // Mostly there are no more, and sorting them takes no memory.
	names := few[:0]
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !isToken(name) {
			continue
		}
		for _, value := range header[name] {
			if !isFieldValue(value) {
				continue
			}
			b = append(b, spelling(name)...)
			b = append(b, ": "...)
			b = append(b, value...)
			b = append(b, "\r\n"...)
		}
	}
	return b
}

func spelling(name string) string {
	if rest, ok := strings.CutPrefix(name, "Sec-Websocket-"); ok {
		return "Sec-WebSocket-" + rest
	}
	if rest, ok := strings.CutPrefix(name, "X-Websocket-"); ok {
		return "X-WebSocket-" + rest
	}
	return name
}

// appendStatus appends a status line. An empty reason is the usual one.
func appendStatus(b []byte, status int, reason string) []byte {
	if reason == "" || !isFieldValue(reason) {
		reason = http.StatusText(status)
	}
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, reason...)
	return append(b, "\r\n"...)
}

// AppendResponseHead appends the status line, the lines of the header and the
// empty line of a response. An empty reason is the usual one.
func AppendResponseHead(b []byte, status int, reason string, header http.Header) []byte {
	return append(AppendHeader(appendStatus(b, status, reason), header), "\r\n"...)
}
