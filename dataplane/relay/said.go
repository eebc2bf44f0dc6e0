// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// How much of what peers say of themselves is kept and shown, in bytes. A head may
// have 64 KiB, which would be kept for each connection and be in every list.
const (
	maxPath = 1024
	maxSaid = 256
)

// said returns what a peer said of itself so that it can be logged and listed: at
// most so many bytes, and what is no UTF-8 or cannot be printed replaced. A single
// string that is not UTF-8 would make a whole listing of the pod impossible to
// encode.
func said(text string, atMost int) string {
	if len(text) > atMost {
		for atMost > 0 && !utf8.RuneStart(text[atMost]) {
			atMost--
		}
		// A copy, so that the rest is not kept.
		text = strings.Clone(text[:atMost])
	}
	if isPlain(text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// isPlain says whether everything is ASCII that can be printed, as it nearly always
// is.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
