// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"reflect"
	"testing"
)

func TestParseExtensions(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  []extension
		ok    bool
	}{
		{nil, nil, true},
		{[]string{"", " , ,"}, nil, true},
		{[]string{"permessage-deflate"}, []extension{{name: "permessage-deflate"}}, true},
		{[]string{`a; b="10" ;c = d;e`, "f"}, []extension{{name: "a", params: []param{{"b", "10"}, {"c", "d"}, {name: "e"}}}, {name: "f"}}, true},
		{[]string{`a; b="1\0"`}, []extension{{name: "a", params: []param{{"b", "10"}}}}, true},
		{[]string{"a,,b"}, []extension{{name: "a"}, {name: "b"}}, true},
		{[]string{"a b"}, nil, false},
		{[]string{"a;"}, nil, false},
		{[]string{"a; b="}, nil, false},
		{[]string{`a; b=""`}, nil, false},
		{[]string{`a; b="c d"`}, nil, false},
		{[]string{`a; b="c`}, nil, false},
		{[]string{`a; b=c"d"`}, nil, false},
		{[]string{`"a"`}, nil, false},
		{[]string{"; a"}, nil, false},
		{[]string{"a\x00"}, nil, false},
		{[]string{"a/b"}, nil, false},
	} {
		got, ok := parseExtensions(c.lines)
		if ok != c.ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v, %v; want %+v, %v", c.lines, got, ok, c.want, c.ok)
		}
	}
}

// FuzzExtensions holds that what was understood is written in a way that is
// understood the same, can stand in a header, and once asked to forbid context
// takeover needs no second time.
func FuzzExtensions(f *testing.F) {
	for _, seed := range []string{`permessage-deflate; client_max_window_bits="10", permessage-deflate`, "a;b=", `a;b="`, ",a,", `a;b="\`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		extensions, ok := parseExtensions([]string{in})
		if !ok {
			if _, changed := offerNoContextTakeover([]string{in}); changed || Movable(in) {
				t.Fatalf("%q cannot be read but was acted upon", in)
			}
			return
		}
		text := formatExtensions(extensions)
		again, ok := parseExtensions([]string{text})
		if !ok || !reflect.DeepEqual(again, extensions) || !isFieldValue(text) {
			t.Fatalf("%q was written as %q, which reads as %+v, %v", in, text, again, ok)
		}
		if offers, changed := offerNoContextTakeover([]string{in}); changed {
			if _, changed := offerNoContextTakeover([]string{offers}); changed {
				t.Fatalf("%q became %q, which lacks something still", in, offers)
			}
		}
		agreed := Agreement{Extensions: in}
		if len(extensions) == 0 && !Compatible(agreed, agreed) {
			t.Fatalf("%q is not compatible with itself", in)
		}
	})
}
