// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// ErrBadSwitching is what an upstream's 101 is that does not open a WebSocket.
var ErrBadSwitching = errors.New("the upstream's 101 does not open a WebSocket")

// Agreement is what client and upstream have agreed on.
type Agreement struct {
	// Subprotocol is empty where there is none.
	Subprotocol string
	// Extensions is the value of Sec-WebSocket-Extensions, empty where there is
	// none.
	Extensions string
}

// Agree checks the header of an upstream's 101 against the head that it answers
// (RFC 6455 section 4.1) and returns what was agreed on. Its errors are
// ErrBadSwitching.
//
// Whether the client had offered what the upstream picked is left to the client,
// as without a proxy. Where the head forbids context takeover, an agreed
// permessage-deflate always has client_no_context_takeover: an upstream may leave
// it out, and the client, who did not offer it, would then not know of it; but a
// server may always ask for it (RFC 7692 section 7.1.1.2), so we do.
func Agree(head *Head, response http.Header) (Agreement, error) {
	switch accepts, protocols := response[headerAccept], response[headerProtocol]; {
	case !hasToken(response["Upgrade"], "websocket"):
		return Agreement{}, fmt.Errorf("%w: Upgrade is %q", ErrBadSwitching, response["Upgrade"])
	case !hasToken(response["Connection"], "upgrade"):
		return Agreement{}, fmt.Errorf("%w: Connection is %q", ErrBadSwitching, response["Connection"])
	case len(accepts) != 1 || trim(accepts[0]) != AcceptOf(head.Key()):
		return Agreement{}, fmt.Errorf("%w: Sec-WebSocket-Accept does not answer the key", ErrBadSwitching)
	case len(protocols) > 1:
		return Agreement{}, fmt.Errorf("%w: %d Sec-WebSocket-Protocol headers", ErrBadSwitching, len(protocols))
	}
	agreed := Agreement{
		Subprotocol: trim(response.Get(headerProtocol)),
		Extensions:  strings.Join(response[headerExtensions], ", "),
	}
	if head.NoContextTakeover {
		if extensions, ok := parseExtensions(response[headerExtensions]); ok && addNoContextTakeover(extensions) {
			agreed.Extensions = formatExtensions(extensions)
		}
	}
	return agreed, nil
}

// AppendSwitching appends the 101 for the client: the upstream's header but for
// what concerns the upstream's connection only, what was agreed on, and the name
// of the connection. The upstream's Sec-WebSocket-Accept is the client's, because
// both keys are the same; so response must be of a first handshake, not of a
// reconnect. Nobody may need it any more: it becomes what is appended.
func AppendSwitching(b []byte, response http.Header, agreed Agreement, id string) []byte {
	header := response
	RemoveHopByHop(header)
	// A 101 has no body (RFC 9110 section 8.6).
	delete(header, "Content-Length")
	values := [...]string{"websocket", "Upgrade", id}
	header["Upgrade"], header["Connection"], header[HeaderConnectionID] = values[:1], values[1:2], values[2:]
	setOrDelete(header, headerProtocol, agreed.Subprotocol)
	setOrDelete(header, headerExtensions, agreed.Extensions)
	return AppendResponseHead(b, http.StatusSwitchingProtocols, "", header)
}
