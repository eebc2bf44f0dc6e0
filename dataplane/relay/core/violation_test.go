// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// violations are what a peer may not send, behind a begun message where that is
// what makes it one.
func violations(from Side) map[string][]byte {
	rsv := text(from, "x")
	rsv[0] |= 0x20
	masked := text(from, "x")
	masked[1] ^= 0x80
	control := func(payload string) []byte { return frame(from, true, wire.Close, payload) }
	return map[string][]byte{
		"reserved bits":              rsv,
		"reserved bits of a ping":    append([]byte{ping(from, "")[0] | 0x40}, ping(from, "")[1:]...),
		"unknown opcode":             frame(from, true, 5, "x"),
		"unknown control opcode":     frame(from, true, 0xc, "x"),
		"long ping":                  frame(from, true, wire.Ping, strings.Repeat("x", 126)),
		"fragmented ping":            frame(from, false, wire.Ping, "x"),
		"wrong masking":              masked,
		"continuation of nothing":    last(from, "x"),
		"length not shortest":        {0x82, 126 | text(from, "")[1]&0x80, 0, 5, 0, 0, 0, 0},
		"close of one byte":          control("\x03"),
		"close with 1005":            control("\x03\xed"),
		"close with 1006":            control("\x03\xee"),
		"close with 1015":            control("\x03\xf7"),
		"close with 999":             control("\x03\xe7"),
		"close with 5000":            control("\x13\x88"),
		"close with a broken reason": control("\x03\xe8\xff"),
	}
}

func TestViolationsNeverReachTheOtherSide(t *testing.T) {
	for _, from := range bothSides {
		by := map[Side]By{Client: ByClient, Upstream: ByUpstream}[from]
		other := map[Side]string{Client: "close 1001 client: ", Upstream: "close 1011 upstream: "}[from]
		for name, bad := range violations(from) {
			t.Run(from.String()+": "+name, func(t *testing.T) {
				for at := range bad {
					h := open(t, reconnecting)
					h.receive(from, text(from, "before"), bad[:at])
					h.receive(from, bad[at:], text(from, "after"))
					h.wantEnd(by, CauseProtocolError, wire.CloseProtocolError)
					told := describe(h.written(from.Other()))
					if len(told) != 2 || told[0] != "text before" || !strings.HasPrefix(told[1], other) {
						t.Fatalf("split at byte %d: the other side got %q", at, told)
					}
					if got := describe(h.written(from)); len(got) != 1 || !strings.HasPrefix(got[0], "close 1002 ") {
						t.Fatalf("split at byte %d: the side itself got %q", at, got)
					}
					h.receive(from.Other(), closing(from.Other(), 1000, ""))
					h.wantPhase(Done)
				}
			})
		}
	}
}

func TestANewMessageWithinAMessageIsAViolation(t *testing.T) {
	for _, from := range bothSides {
		for _, op := range []wire.Opcode{wire.Text, wire.Binary} {
			h := open(t, nil)
			h.receive(from, begin(from, "a"), frame(from, true, op, "b"))
			h.wantPhase(Closing)
			got := describe(h.written(from.Other()))
			if len(got) != 2 || got[0] != "text+ a" || !strings.HasPrefix(got[1], "close ") {
				t.Errorf("got %q", got)
			}
		}
	}
}

func TestTheCloseFrameForAViolationHasALegalReason(t *testing.T) {
	h := open(t, nil)
	h.fault(h.now, Client, End{By: ByClient, Cause: CauseProtocolError, Code: 1002, Reason: strings.Repeat("long ", 40)})
	for _, side := range bothSides {
		b := h.written(side)
		head, n, err := wire.ParseHeader(b)
		if err != nil || head.Length > wire.MaxControlPayload || len(b) != n+int(head.Length) {
			t.Errorf("to the %s: %+v, %v", side, head, err)
		}
	}
}

func TestWhatFollowsACloseFrameIsNotLookedAt(t *testing.T) {
	for _, from := range bothSides {
		h := open(t, nil)
		h.receive(from, closing(from, 1000, "bye"), text(from, "late"), []byte{0xff, 0xff})
		h.receive(from, text(from, "later"))
		h.want(from.Other(), "close 1000 bye")
		h.wantEnd(map[Side]By{Client: ByClient, Upstream: ByUpstream}[from], map[Side]Cause{Client: CauseClientClose, Upstream: CauseUpstreamClose}[from], 1000)
	}
}

func TestFramesOfOursToTheUpstreamAreMaskedWithFreshKeys(t *testing.T) {
	var keys [][4]byte
	h := open(t, nil)
	for range 20 {
		keys = append(keys, *h.maskingKey())
	}
	slices.SortFunc(keys, func(a, b [4]byte) int { return bytes.Compare(a[:], b[:]) })
	if len(slices.Compact(keys)) != 20 {
		t.Error("a key was used twice")
	}
	h.disconnect(0)
	for side, want := range map[Side]bool{Client: false, Upstream: true} {
		if head, _, err := wire.ParseHeader(h.written(side)); err != nil || head.Masked != want {
			t.Errorf("to the %s: masked %v, %v", side, head.Masked, err)
		}
	}
}
