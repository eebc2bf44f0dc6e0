// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"strings"
)

// hasToken reports whether the comma lists in values hold the token, compared
// without regard to case (RFC 9110 sections 5.6.1 and 7.6.1).
func hasToken(values []string, token string) bool {
	for _, value := range values {
		for element := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(trim(element), token) {
				return true
			}
		}
	}
	return false
}

// trim removes optional white space (RFC 9110 section 5.6.3), which is spaces and
// tabs, and not what Unicode takes for a space.
func trim(s string) string { return strings.Trim(s, " \t") }

// isToken reports whether s is a token of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenByte(c byte) bool { return tokenBytes[c] }

// tokenBytes are tchar of RFC 9110 section 5.6.2.
var tokenBytes = func() (is [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		is[c] = true
	}
	return is
}()

// isFieldValue reports whether s may stand in a header field: RFC 9110 section
// 5.5 forbids the control characters, above all CR, LF and NUL, with which one
// header is made to look like two.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// quoted returns s as a token where it is one, else as a quoted-string (RFC 9110
// section 5.6.4).
func quoted(s string) string {
	if isToken(s) {
		return s
	}
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return string(append(b, '"'))
}
