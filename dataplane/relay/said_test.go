// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWhatPeersSayIsMadeFitToBeShown(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "",
		"Mozilla/5.0 (X11)":       "Mozilla/5.0 (X11)",
		"Grüße":                   "Grüße",
		"\xff":                    "\ufffd",
		"a\x00b\x1b[31m\r\n":      "a\ufffdb\ufffd[31m\ufffd\ufffd",
		strings.Repeat("x", 2000): strings.Repeat("x", maxSaid),
		// The character at the limit is left out, not cut in two.
		strings.Repeat("x", maxSaid-1) + "ü": strings.Repeat("x", maxSaid-1),
		strings.Repeat("\xff", 4):            strings.Repeat("\ufffd", 4),
	} {
		if got := said(text, maxSaid); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

func FuzzSaid(f *testing.F) {
	f.Add("a\xff\x00", 2)
	f.Add("ü", 1)
	f.Fuzz(func(t *testing.T, text string, atMost int) {
		atMost = max(0, min(atMost, 1<<16))
		got := said(text, atMost)
		// What is replaced takes up to three bytes for one.
		if !utf8.ValidString(got) || len(got) > 3*atMost {
			t.Errorf("said(%q, %d) = %q", text, atMost, got)
		}
	})
}
