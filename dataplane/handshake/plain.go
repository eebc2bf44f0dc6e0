// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// net/http reads everything that may be HTTP, and costs as much as all else in a
// handshake. Here is read what nearly all handshakes are, and nothing else: what
// is not plain is left to net/http, which judges it. So of what is plain both must
// make the same, byte for byte, or a request could be smuggled between the two;
// FuzzPlainRequest and FuzzPlainSwitching hold that.

// Reading is how far a head has been read.
type Reading int

const (
	// Unfinished: its end has not come yet, and what there is may be plain.
	Unfinished Reading = iota
	// Unusual: it is for net/http.
	Unusual
	// Finished: it is plain.
	Finished
)

// PlainEnd looks for the end of a head that begins as prefix does. Of b, seen bytes
// were Unfinished before. Where it is Finished, end is the length of the head.
//
// Every line must end with CR LF. net/http takes a lone LF, too, and others do not:
// that is how two readers come to see two different heads.
func PlainEnd(b []byte, prefix string, seen int) (end int, reading Reading) {
	if n := min(len(b), len(prefix)); string(b[:n]) != prefix[:n] {
		return 0, Unusual
	}
	for at := seen; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0, Unfinished
		}
		at += i + 1
		if at < 2 || b[at-2] != '\r' {
			return 0, Unusual
		}
		if at >= 4 && b[at-3] == '\n' {
			return at, Finished
		}
	}
}

// PlainLine reports whether the first line of a request's head, as far as it has come,
// may be that of a plain one. Whether it is need not wait for the end of the head: who
// does not speak HTTP/1.1 may never send one.
func PlainLine(b []byte) bool {
	line, _, whole := bytes.Cut(b, []byte("\n"))
	return !whole || bytes.HasSuffix(line, []byte(" HTTP/1.1\r"))
}

// The beginnings of plain heads.
const (
	PlainRequest   = "GET /"
	PlainSwitching = "HTTP/1.1 101 "
)

// ParseRequest reads the head of a plain handshake, whole and with nothing behind
// it, as PlainEnd found it with PlainRequest. It is false for what is not plain:
// whatever has or announces a body, says anything twice that must be said once, or
// is not spelled as RFC 9112 wants it.
//
// The request is as net/http's server would make it, but for its context and the
// addresses. Its texts share memory with head.
func ParseRequest(head string) (*http.Request, bool) {
	line, fields, _ := strings.Cut(head, "\r\n")
	line, ok := strings.CutPrefix(line, "GET ")
	if !ok {
		return nil, false
	}
	t, ok := strings.CutSuffix(line, " HTTP/1.1")
	if !ok || !isPlainTarget(t) {
		return nil, false
	}
	u, err := url.ParseRequestURI(t)
	if err != nil {
		return nil, false
	}
	header, ok := parseFields(fields)
	if !ok || !isPlainMessage(header) {
		return nil, false
	}
	hosts := header["Host"]
	if len(hosts) != 1 || !isPlainHost(hosts[0]) {
		return nil, false
	}
	delete(header, "Host")
	return &http.Request{
		Method: http.MethodGet, RequestURI: t, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Host: hosts[0], Header: header, Body: http.NoBody,
	}, true
}

// ParseSwitching reads the header of a plain 101, whole and with nothing behind it,
// as PlainEnd found it with PlainSwitching. It is false for what is not plain.
func ParseSwitching(head string) (http.Header, bool) {
	line, fields, _ := strings.Cut(head, "\r\n")
	reason, ok := strings.CutPrefix(line, PlainSwitching)
	if !ok || !isFieldValue(reason) {
		return nil, false
	}
	header, ok := parseFields(fields)
	return header, ok && isPlainMessage(header)
}

// parseFields reads the lines of a header and the empty one behind them.
func parseFields(lines string) (http.Header, bool) {
	n := strings.Count(lines, "\n") - 1
	if n < 0 {
		return nil, false
	}
	header := make(http.Header, n)
	values := make([]string, n) // One allocation for all that have one value.
	for {
		line, rest, ok := strings.Cut(lines, "\r\n")
		switch {
		case !ok:
			return nil, false
		case line == "":
			return header, rest == ""
		}
		name, value, ok := strings.Cut(line, ":")
		// A line that begins with white space would continue the one before.
		if value = trim(value); !ok || !isToken(name) || !isFieldValue(value) {
			return nil, false
		}
		name = canonical(name)
		if before := header[name]; before != nil {
			header[name] = append(before, value)
		} else {
			values[0] = value
			header[name], values = values[:1:1], values[1:]
		}
		lines = rest
	}
}

// canonicals has the names in a handshake that would have to be made anew for
// http.Header.
var canonicals = map[string]string{
	"Sec-WebSocket-Key":        headerKey,
	"Sec-WebSocket-Accept":     headerAccept,
	"Sec-WebSocket-Version":    headerVersion,
	"Sec-WebSocket-Protocol":   headerProtocol,
	"Sec-WebSocket-Extensions": headerExtensions,
	"DNT":                      "Dnt",
}

func canonical(name string) string {
	if known, ok := canonicals[name]; ok {
		return known
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

// isPlainMessage reports whether a header leaves no doubt that nothing follows it
// and that the connection stays, and has nothing that net/http would change.
func isPlainMessage(header http.Header) bool {
	for _, name := range [...]string{"Content-Length", "Transfer-Encoding", "Trailer", "Expect"} {
		if _, ok := header[name]; ok {
			return false
		}
	}
	if hasToken(header["Connection"], "close") {
		return false
	}
	_, pragma := header["Pragma"]
	_, control := header["Cache-Control"]
	return !pragma || control
}

// isPlainTarget reports whether a request target is in origin-form, and nothing but
// its percent-encoding has to be looked at.
func isPlainTarget(t string) bool {
	for i := range len(t) {
		if c := t[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	return strings.HasPrefix(t, "/")
}

// isPlainHost reports whether a host is made of what names, addresses and ports are
// made of.
func isPlainHost(host string) bool {
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return host != ""
}
