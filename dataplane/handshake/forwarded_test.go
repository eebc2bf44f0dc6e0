// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"slices"
	"strings"
	"testing"
)

func TestParseForwarded(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []element
		ok   bool
	}{
		{"", nil, true},
		{`for="_gazonk"`, []element{{node: "_gazonk"}}, true},
		{`For="[2001:db8:cafe::17]:4711"`, []element{{node: "[2001:db8:cafe::17]:4711"}}, true},
		{`for=192.0.2.60;proto=http;by=203.0.113.43`, []element{{node: "192.0.2.60", proto: "http"}}, true},
		{`for=192.0.2.43, for=198.51.100.17`, []element{{node: "192.0.2.43"}, {node: "198.51.100.17"}}, true},
		{`for = a ; host="b, c" ,, for=d;`, []element{{node: "a", host: "b, c"}, {node: "d"}}, true},
		{`for="a\"b\\c"`, []element{{node: `a"b\c`}}, true},
		{`for="a`, nil, false},
		{`for="a\`, nil, false},
		{`for=a b`, nil, false},
		{`for`, nil, false},
		{`for=`, nil, false},
		{`=a`, nil, false},
		{`for=[2001:db8::1]`, nil, false}, // It must be quoted.
	} {
		got, ok := parseForwarded([]string{c.in})
		if ok != c.ok || !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v, %v", c.in, got, ok, c.want, c.ok)
		}
	}
}

// FuzzForwarded holds that what was understood is understood again in the same
// way once it has been written, with an element of ours behind it, and that no
// input makes two elements of one of ours.
func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{`for=a;host="b, c";proto=http, for="[::1]:8"`, `for="`, `for="a\`, ",,;", "for=1.2.3.4"} {
		f.Add(seed, "h")
	}
	f.Fuzz(func(t *testing.T, in, host string) {
		before, ok := parseForwarded([]string{in})
		if !ok || !isFieldValue(host) {
			return
		}
		own := element{node: "192.0.2.1", host: host, proto: "http"}
		after, ok := parseForwarded([]string{in + ", " + own.String()})
		if !ok || len(after) != len(before)+1 || !slices.Equal(after[:len(before)], before) {
			t.Fatalf("%q and ours: %+v, %v; before %+v", in, after, ok, before)
		}
		if after[len(before)] != own {
			t.Fatalf("ours reads as %+v, want %+v", after[len(before)], own)
		}
	})
}

func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"1.2.3.4", "[::1]:80", "[::1", "::ffff:1.2.3.4", "fe80::1%eth0", "1.2.3.4:x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		addr, ok := address(in)
		if !ok {
			return
		}
		if again, ok := address(addr.String()); !ok || again != addr || addr.Is4In6() || strings.Contains(addr.String(), "%") {
			t.Fatalf("%q: %v reads as %v, %v", in, addr, again, ok)
		}
	})
}
