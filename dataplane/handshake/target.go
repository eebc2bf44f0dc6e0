// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"errors"
	"net/url"
	"strings"
)

// target is the request target in origin-form (RFC 9112 section 3.2.1), byte for
// byte as the client sent it. The absolute-form, which servers must accept too,
// loses its scheme and its authority; net/http has put that into Request.Host.
func target(requestURI string) (string, error) {
	t := requestURI
	if !strings.HasPrefix(t, "/") {
		_, rest, ok := strings.Cut(t, "://")
		if !ok {
			return "", errors.New("the request target is not a path")
		}
		// The authority ends where the path or the query begins.
		if i := strings.IndexAny(rest, "/?"); i < 0 {
			t = "/"
		} else if t = rest[i:]; t[0] == '?' {
			t = "/" + t
		}
	}
	for i := range len(t) {
		// A fragment never travels; programs that split it off would see another
		// path than those that do not.
		if c := t[i]; c <= ' ' || c == 0x7f || c == '#' {
			return "", errors.New("the request target holds a character that must be percent-encoded")
		}
	}
	if hasDotSegments(t) {
		return "", errors.New("the path has dot segments")
	}
	return t, nil
}

func pathOf(target string) string {
	path, _, _ := strings.Cut(target, "?")
	return path
}

// hasDotSegments reports whether some server might take a segment of the path
// for . or .. and leave the path prefix that the request was admitted under.
// Clients resolve these before they send a request (RFC 3986 section 5.2.4).
func hasDotSegments(target string) bool {
	path := pathOf(target)
	if !strings.ContainsAny(path, ".%") {
		return false
	}
	decoded, err := url.PathUnescape(path)
	if err != nil {
		decoded = path
	}
	for _, p := range []string{path, decoded} {
		for segment := range strings.FieldsFuncSeq(p, func(r rune) bool { return r == '/' || r == '\\' }) {
			if segment == "." || segment == ".." {
				return true
			}
		}
	}
	return false
}

// segments is the path of a target with its segments decoded, but for those that
// hold an encoded slash, which does not separate anything (RFC 3986 section 2.2).
func segments(target string) string {
	parts := strings.Split(pathOf(target), "/")
	for i, part := range parts {
		if decoded, err := url.PathUnescape(part); err == nil && !strings.Contains(decoded, "/") {
			parts[i] = decoded
		}
	}
	return strings.Join(parts, "/")
}

// under returns a target with the path of a base URL put before its path. "/"
// alone is how HTTP says that a URL has no path at all, so with it the base's
// path is left as it was written.
func under(base *url.URL, target string) string {
	prefix := base.EscapedPath()
	if prefix == "" || prefix == "/" {
		return target
	}
	if path := pathOf(target); path == "/" {
		return prefix + target[len(path):]
	}
	return strings.TrimSuffix(prefix, "/") + target
}
