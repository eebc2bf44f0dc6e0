// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"net/http"
	"slices"
	"strings"
)

// Kept is a Head as it is kept with a connection, because a connection may need
// another upstream at any time and mostly never does: the same in a fifth of the
// memory. What Reconnect makes anew is not in it, nor the name of the connection.
//
// It has a line for the host, one for the request target, and one for each header
// field: a byte below 0x20 that stands for a name, or the name and a colon, and
// the value. None of these can contain a line feed, so the encoding is exact.
type Kept string

// keptNames are the names that stand as one byte, by which most heads shrink by
// half. The byte is the index and one, so neither 0x00 nor "\n" may come of it.
var keptNames = [...]string{
	"User-Agent", "Origin", "Cookie", "Authorization", "Accept-Encoding", "Accept-Language", "Cache-Control", "Pragma",
	headerVersion, "", headerForwarded, headerForwardedFor, headerForwardedProto, headerForwardedHost, headerForwardedPort,
	"Accept", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Dnt", "X-Request-Id", "Traceparent",
}

// noContextTakeover marks a Kept whose Head says so.
const noContextTakeover = "\x00"

// Keep returns what is to be kept of a head.
func (h *Head) Keep() Kept {
	var b strings.Builder
	b.Grow(h.Size())
	if h.NoContextTakeover {
		b.WriteString(noContextTakeover)
	}
	b.WriteString(h.Host + "\n" + h.RequestURI + "\n")
	for name, values := range h.Header {
		switch name {
		case headerKey, headerProtocol, headerExtensions, HeaderConnectionID:
			continue
		}
		for _, value := range values {
			if i := slices.Index(keptNames[:], name); i >= 0 {
				b.WriteByte(byte(i + 1))
			} else {
				b.WriteString(name + ":")
			}
			b.WriteString(value + "\n")
		}
	}
	return Kept(strings.Clone(b.String())) // which is as large as it has to be
}

// Head returns the head that was kept of the connection with that name.
func (k Kept) Head(id string) *Head {
	rest, marked := strings.CutPrefix(string(k), noContextTakeover)
	h := &Head{Header: http.Header{HeaderConnectionID: {id}}, NoContextTakeover: marked}
	h.Host, rest, _ = strings.Cut(rest, "\n")
	h.RequestURI, rest, _ = strings.Cut(rest, "\n")
	for field := range strings.Lines(rest) {
		field = strings.TrimSuffix(field, "\n")
		var name, value string
		if i := int(field[0]); i <= len(keptNames) {
			name, value = keptNames[i-1], field[1:]
		} else {
			name, value, _ = strings.Cut(field, ":")
		}
		h.Header[name] = append(h.Header[name], value)
	}
	return h
}
