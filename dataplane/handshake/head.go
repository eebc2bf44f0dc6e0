// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/wsproxy/wsproxy/dataplane/config"
)

// ErrBadHead says that a Head holds what cannot stand in a request.
var ErrBadHead = errors.New("the handshake has no valid host or path")

// Head is the request head that every upstream of a connection is sent. It is a
// plain value, kept for as long as the connection may need another upstream, and
// can be written down and read back. What depends on the upstream is left to
// AppendRequest, so that an attempt goes where the configuration of its time
// says.
type Head struct {
	// Host is the client's Host header.
	Host string
	// RequestURI is the client's request target in origin-form, as sent: path and
	// query with their percent-encoding.
	RequestURI string
	// Header is what else is sent, but for Upgrade and Connection, under canonical
	// names.
	Header http.Header
	// NoContextTakeover says that the client must not carry compression context
	// from one message to the next: autoReconnect was on at the handshake.
	NoContextTakeover bool
}

// NewHead returns the head for the upstreams of a client's connection with the
// given name. The request must have passed Check. The request's header is not
// changed, and nothing of it is shared.
//
// Everything passes but what concerns the client's connection only
// (RemoveHopByHop) and what says where the request comes from (that is made
// anew). Where autoReconnect is on, each offer of permessage-deflate also asks
// for client_no_context_takeover.
func NewHead(r *http.Request, cfg *config.Config, id string) *Head {
	own := *r
	own.Header = r.Header.Clone()
	return TakeHead(&own, cfg, id)
}

// TakeHead is NewHead for a request that nobody needs any more: its header becomes
// that of the head.
func TakeHead(r *http.Request, cfg *config.Config, id string) *Head {
	header := r.Header
	RemoveHopByHop(header)
	// There is no body.
	delete(header, "Content-Length")
	setForwarding(header, r, cfg, id)
	if cfg.AutoReconnect {
		if offers, changed := offerNoContextTakeover(header[headerExtensions]); changed {
			header.Set(headerExtensions, offers)
		}
	}
	// Check has found it good; if it was not called, the path is refused when the
	// request is made.
	t, err := target(r.RequestURI)
	if err != nil {
		t = ""
	}
	return &Head{Host: r.Host, RequestURI: t, Header: header, NoContextTakeover: cfg.AutoReconnect}
}

// Key is the Sec-WebSocket-Key.
func (h *Head) Key() string { return trim(h.Header.Get(headerKey)) }

// Size is the number of bytes of the head as it goes over the wire to an
// upstream that keeps Host and path: what is charged for keeping it.
func (h *Head) Size() int {
	size := len("GET  HTTP/1.1\r\nHost: \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n") + len(h.Host) + len(h.RequestURI)
	for name, values := range h.Header {
		for _, value := range values {
			size += len(name) + len(": ") + len(value) + len("\r\n")
		}
	}
	return size
}

// Reconnect returns the head of the n-th attempt (from 1) to get a lost upstream
// back: with a key of its own, X-WebSocket-Reconnect, and offers of exactly what
// client and first upstream agreed on, because the client cannot be asked again.
func (h *Head) Reconnect(n int, agreed Agreement) *Head {
	again := *h
	again.Header = h.Header.Clone()
	again.Header.Set(headerKey, NewKey())
	again.Header.Set(HeaderReconnect, strconv.Itoa(n))
	setOrDelete(again.Header, headerProtocol, agreed.Subprotocol)
	setOrDelete(again.Header, headerExtensions, agreed.Extensions)
	return &again
}

func setOrDelete(header http.Header, name, value string) {
	if value == "" {
		header.Del(name)
	} else {
		header.Set(name, value)
	}
}

// AppendRequest appends the whole request for the upstream of cfg. With
// endpoints the client's Host is kept; with a URL the Host is the URL's, and its
// path is put before the client's. A client that asks for "/", which is how HTTP
// says no path, gets exactly the URL's path.
//
// The error is ErrBadHead.
func (h *Head) AppendRequest(b []byte, cfg *config.Config) ([]byte, error) {
	host, t := h.Host, h.RequestURI
	if cfg.UpstreamURL != nil {
		host, t = cfg.UpstreamURL.Host, under(cfg.UpstreamURL, t)
	}
	if !strings.HasPrefix(t, "/") || strings.ContainsAny(t, " \t") || !isFieldValue(t) || !isFieldValue(host) || host == "" {
		return nil, ErrBadHead
	}
	b = append(b, "GET "...)
	b = append(b, t...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"...)
	return append(AppendHeader(b, h.Header), "\r\n"...), nil
}
