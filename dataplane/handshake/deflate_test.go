// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

func TestMovable(t *testing.T) {
	for extensions, want := range map[string]bool{
		"":                   true,
		"permessage-deflate": false,
		"permessage-deflate; client_no_context_takeover":                            true,
		"permessage-deflate; server_no_context_takeover":                            false,
		"permessage-deflate; server_max_window_bits=10; client_no_context_takeover": true,
		"permessage-deflate; client_no_context_takeover, x-other":                   false,
		"x-other":                                        false,
		"x-other; client_no_context_takeover":            false,
		"permessage-deflate; ; ":                         false,
		"Permessage-Deflate; client_no_context_takeover": false,
	} {
		if got := Movable(extensions); got != want {
			t.Errorf("%q: %v, want %v", extensions, got, want)
		}
	}
}

func TestInjectable(t *testing.T) {
	for extensions, want := range map[string]bool{
		"":                   true,
		"permessage-deflate": true,
		"permessage-deflate; server_no_context_takeover; client_max_window_bits=10": true,
		"permessage-deflate, x-other": false,
		"x-other":                     false,
		"permessage-deflate; ; ":      false,
		"Permessage-Deflate":          false,
	} {
		if got := Injectable(extensions); got != want {
			t.Errorf("%q: %v, want %v", extensions, got, want)
		}
	}
}

func TestCompatible(t *testing.T) {
	const deflate = "permessage-deflate; client_no_context_takeover"
	for _, c := range []struct {
		why          string
		first, again Agreement
		want         bool
	}{
		{"nothing agreed", Agreement{}, Agreement{}, true},
		{"same subprotocol", Agreement{Subprotocol: "a"}, Agreement{Subprotocol: "a"}, true},
		{"other subprotocol", Agreement{Subprotocol: "a"}, Agreement{Subprotocol: "b"}, false},
		{"subprotocols are case-sensitive", Agreement{Subprotocol: "a"}, Agreement{Subprotocol: "A"}, false},
		{"subprotocol lost", Agreement{Subprotocol: "a"}, Agreement{}, false},
		{"subprotocol invented", Agreement{}, Agreement{Subprotocol: "a"}, false},

		{"same extension", Agreement{Extensions: deflate}, Agreement{Extensions: deflate}, true},
		{"extension lost", Agreement{Extensions: deflate}, Agreement{}, false},
		{"extension invented", Agreement{}, Agreement{Extensions: deflate}, false},
		{"the client carries context over", Agreement{Extensions: "permessage-deflate"}, Agreement{Extensions: "permessage-deflate"}, false},
		{"the new upstream keeps a window that nobody needs", Agreement{Extensions: deflate}, Agreement{Extensions: "permessage-deflate"}, true},
		{"smaller window for what the client sends", Agreement{Extensions: deflate}, Agreement{Extensions: deflate + "; client_max_window_bits=14"}, false},
		{"larger window for what the client sends", Agreement{Extensions: deflate + "; client_max_window_bits=10"}, Agreement{Extensions: deflate}, true},
		{"same window for what the client sends", Agreement{Extensions: deflate + "; client_max_window_bits=10"}, Agreement{Extensions: deflate + "; client_max_window_bits=10"}, true},
		{"larger window towards the client", Agreement{Extensions: deflate + "; server_max_window_bits=10"}, Agreement{Extensions: deflate}, false},
		{"smaller window towards the client", Agreement{Extensions: deflate}, Agreement{Extensions: deflate + "; server_max_window_bits=8"}, true},
		{"the client may have dropped its window", Agreement{Extensions: deflate + "; server_no_context_takeover"}, Agreement{Extensions: deflate}, false},
		{"the client keeps its window for nothing", Agreement{Extensions: deflate}, Agreement{Extensions: deflate + "; server_no_context_takeover"}, true},
		{"parameters in another order", Agreement{Extensions: deflate + "; server_no_context_takeover"}, Agreement{Extensions: "permessage-deflate; server_no_context_takeover; client_no_context_takeover"}, true},
		{"window out of range", Agreement{Extensions: deflate}, Agreement{Extensions: deflate + "; server_max_window_bits=7"}, false},
		{"window with a leading zero", Agreement{Extensions: deflate}, Agreement{Extensions: deflate + "; server_max_window_bits=08"}, false},
		{"flag with a value", Agreement{Extensions: deflate}, Agreement{Extensions: "permessage-deflate; client_no_context_takeover=1"}, false},
		{"parameter twice", Agreement{Extensions: deflate}, Agreement{Extensions: deflate + "; client_no_context_takeover"}, false},
		{"parameter that is unknown", Agreement{Extensions: deflate}, Agreement{Extensions: deflate + "; x"}, false},
		{"malformed", Agreement{Extensions: "a;"}, Agreement{Extensions: "a;"}, false},

		{"other extension, same parameters", Agreement{Extensions: "x; a=1; b"}, Agreement{Extensions: "x; b; a=1"}, true},
		{"other extension, other parameters", Agreement{Extensions: "x; a=1"}, Agreement{Extensions: "x; a=2"}, false},
		{"other extension, more parameters", Agreement{Extensions: "x; a"}, Agreement{Extensions: "x; a; b"}, false},
		{"other extension, repeated parameters", Agreement{Extensions: "x; a; b"}, Agreement{Extensions: "x; a; a"}, false},
		{"extensions in another order", Agreement{Extensions: "x, y"}, Agreement{Extensions: "y, x"}, false},
	} {
		if got := Compatible(c.first, c.again); got != c.want {
			t.Errorf("%s: %v, want %v (%+v, %+v)", c.why, got, c.want, c.first, c.again)
		}
	}
}

// The claim on which Compatible rests: an inflater that keeps its window
// understands a deflater that started anew, whatever came before. And the reason
// for client_no_context_takeover: the other way round does not hold.
func TestFreshDeflaterIsUnderstoodByOldInflater(t *testing.T) {
	// Words that come again and again, so that deflaters refer back far.
	words := make([][]byte, 64)
	for i := range words {
		words[i] = make([]byte, 40)
		for j := range words[i] {
			words[i][j] = byte(rand.IntN(256))
		}
	}
	var plain, wire []byte
	var middle, end int // Of what the first upstream sent, at ends of messages.
	for upstream := range 3 {
		var out bytes.Buffer
		deflater, err := flate.NewWriter(&out, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		for message := range 500 {
			word := words[rand.IntN(len(words))]
			plain = append(plain, word...)
			// A message ends as RFC 7692 section 7.2.1 says: an empty block.
			if _, err := deflater.Write(word); err != nil || deflater.Flush() != nil {
				t.Fatal(err)
			}
			if upstream == 0 && message < 250 {
				middle = out.Len()
			}
		}
		wire = append(wire, out.Bytes()...)
		if upstream == 0 {
			end = len(wire)
		}
	}
	client := flate.NewReader(bytes.NewReader(wire))
	got := make([]byte, len(plain))
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("an old inflater did not understand a fresh deflater: %v", err)
	}

	// An inflater that joins between two messages of an old deflater is lost.
	late := flate.NewReader(bytes.NewReader(wire[middle:end]))
	if _, err := io.ReadFull(late, make([]byte, len(plain)/6)); !errors.As(err, new(flate.CorruptInputError)) {
		t.Fatalf("a fresh inflater and an old deflater: %v, want a reference to what is not there", err)
	}
}
