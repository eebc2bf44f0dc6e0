// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestValidCloseCode(t *testing.T) {
	for code, want := range map[int]bool{
		-1: false, 0: false, 999: false, 1000: true, 1003: true, 1004: false, CloseNoStatus: false, CloseAbnormal: false,
		1007: true, 1014: true, 1015: false, 1016: false, 2999: false, 3000: true, 3999: true, 4000: true, 4999: true, 5000: false, 65535: false,
	} {
		if got := ValidCloseCode(code); got != want {
			t.Errorf("ValidCloseCode(%d) = %v", code, got)
		}
	}
}

func TestParseClose(t *testing.T) {
	for name, tc := range map[string]struct {
		payload string
		code    int
		reason  string
		bad     bool
	}{
		"nothing":             {"", CloseNoStatus, "", false},
		"half a code":         {"\x03", 0, "", true},
		"code":                {"\x03\xe8", 1000, "", false},
		"code and reason":     {"\x03\xf4über", 1012, "über", false},
		"longest reason":      {"\x0f\xa0" + strings.Repeat("x", MaxReason), 4000, strings.Repeat("x", MaxReason), false},
		"1005 on the wire":    {"\x03\xed", 0, "", true},
		"1006 on the wire":    {"\x03\xee", 0, "", true},
		"1015 on the wire":    {"\x03\xf7", 0, "", true},
		"code 0":              {"\x00\x00", 0, "", true},
		"half a UTF-8 letter": {"\x03\xe8\xc3", 0, "", true},
		"UTF-16 surrogate":    {"\x03\xe8\xed\xa0\x80", 0, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			code, reason, err := ParseClose([]byte(tc.payload))
			var violation ProtocolError
			if bad := errors.As(err, &violation); bad != tc.bad || code != tc.code || reason != tc.reason {
				t.Errorf("got %d %q %v", code, reason, err)
			}
		})
	}
}

// FuzzParseClose: what parses is legal and is what AppendClose writes; nothing
// panics.
func FuzzParseClose(f *testing.F) {
	for _, seed := range []string{"", "\x03", "\x03\xe8", "\x03\xe8bye", "\x03\xed", "\x0f\xa0\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		code, reason, err := ParseClose(payload)
		if err != nil {
			return
		}
		if code != CloseNoStatus && !ValidCloseCode(code) || !utf8.ValidString(reason) {
			t.Fatalf("code %d, reason %q", code, reason)
		}
		if back := AppendClose(nil, code, reason); !bytes.Equal(back, payload) {
			t.Fatalf("% x parsed to %d %q, which is written % x", payload, code, reason, back)
		}
	})
}
