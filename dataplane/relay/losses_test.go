// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// TestLossesEndInOneCleanCause ends one side without a close handshake, and looks
// at what the other side gets.
func TestLossesEndInOneCleanCause(t *testing.T) {
	const before = "before"
	for name, tc := range map[string]struct {
		side   string
		last   []byte // said last
		reset  bool   // whether it ends with a reset, else with FIN on its half
		by     string
		cause  string
		frames []string // what the other side gets
		ends   []string // how its socket may end
	}{
		"client half-closes":        {"client", nil, false, "Network", "ClientLost", []string{"1 true before", "close 1001 client lost"}, []string{"fin", "reset"}},
		"client resets":             {"client", nil, true, "Network", "ClientLost", []string{"1 true before", "close 1001 client lost"}, []string{"fin", "reset"}},
		"upstream half-closes":      {"upstream", nil, false, "Network", "UpstreamLost", []string{"1 true before", "close 1012 upstream ended without a close frame"}, []string{"fin", "reset"}},
		"upstream resets":           {"upstream", nil, true, "Network", "UpstreamLost", []string{"1 true before", "close 1012 upstream connection reset"}, []string{"fin", "reset"}},
		"client within a frame":     {"client", frameOf("client", true, wire.Binary, "whole")[:8], false, "Network", "ClientLost", nil, []string{"reset"}},
		"upstream within a frame":   {"upstream", frameOf("upstream", true, wire.Binary, "whole")[:4], false, "Network", "UpstreamLost", nil, []string{"reset"}},
		"client within a message":   {"client", frameOf("client", false, wire.Binary, "part"), false, "Network", "ClientLost", []string{"1 true before", "2 false part", "close 1001 client lost"}, []string{"fin", "reset"}},
		"upstream within a message": {"upstream", frameOf("upstream", false, wire.Binary, "part"), false, "Network", "UpstreamLost", []string{"1 true before", "2 false part", "close 1012 upstream ended without a close frame"}, []string{"fin", "reset"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRaw(t, nil)
			from, to := r.sockets(tc.side)
			if _, err := from.Write(frameOf(tc.side, true, wire.Text, before)); err != nil {
				t.Fatal(err)
			}
			// It has arrived, so a reset cannot take it back.
			first := make([]byte, len(frameOf(tc.side, true, wire.Text, before)))
			if _, err := io.ReadFull(to, first); err != nil {
				t.Fatal(err)
			}
			if _, err := from.Write(tc.last); err != nil {
				t.Fatal(err)
			}
			if tc.reset {
				_ = from.SetLinger(0)
				_ = from.Close()
			} else if err := from.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			other := map[string]string{"client": "upstream", "upstream": "client"}[tc.side]
			got, end := heardAnd(to, func() { _, _ = to.Write(frameOf(other, true, wire.Close, "\x03\xe8")) })
			got = append([]string{"1 true before"}, got...)
			if tc.frames != nil && !slices.Equal(got, tc.frames) || !slices.Contains(tc.ends, end) {
				t.Errorf("the other side got %q and then %s, want %q and %q", got, end, tc.frames, tc.ends)
			}
			for _, frame := range got {
				if tc.frames == nil && strings.HasPrefix(frame, "close") {
					t.Errorf("a close frame was put into a frame: %q", got)
				}
			}
			r.ended(tc.by, tc.cause)
		})
	}
}

func TestACloseFrameAndTheEndOfItsSocketInOne(t *testing.T) {
	for side, want := range map[string][2]string{"client": {"Client", "ClientClose"}, "upstream": {"Upstream", "UpstreamClose"}} {
		t.Run(side, func(t *testing.T) {
			r := startRaw(t, nil)
			from, to := r.sockets(side)
			other := map[string]string{"client": "upstream", "upstream": "client"}[side]
			// Within a message: a close frame may stand between its frames.
			if _, err := from.Write(slices.Concat(frameOf(side, false, wire.Text, "part"), frameOf(side, true, wire.Close, "\x0f\xa1bye"))); err != nil {
				t.Fatal(err)
			}
			if err := from.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			first := make([]byte, len(frameOf(side, false, wire.Text, "part"))+len(frameOf(side, true, wire.Close, "\x0f\xa1bye")))
			if _, err := io.ReadFull(to, first); err != nil {
				t.Fatal(err)
			}
			_, _ = to.Write(frameOf(other, true, wire.Close, "\x0f\xa1bye")) // It may be over already.
			if more, end := heard(to); len(more) > 0 {
				t.Errorf("then it got %q and %s", more, end)
			}
			r.ended(want[0], want[1])
		})
	}
}

func TestACloseFrameWithoutACodeHasNoneOnTheOtherSide(t *testing.T) {
	for _, side := range []string{"client", "upstream"} {
		r := startRaw(t, nil)
		from, to := r.sockets(side)
		other := map[string]string{"client": "upstream", "upstream": "client"}[side]
		if _, err := from.Write(frameOf(side, true, wire.Close, "")); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write(frameOf(other, true, wire.Close, "")); err != nil {
			t.Fatal(err)
		}
		got, end := heard(to)
		if !slices.Equal(got, []string{"close 1005 "}) || end != "fin" {
			t.Errorf("by the %s: the other side got %q and %s", side, got, end)
		}
		if got, end := heard(from); !slices.Equal(got, []string{"close 1005 "}) || end != "fin" {
			t.Errorf("by the %s: it got %q and %s", side, got, end)
		}
	}
}

func TestViolationsOverSockets(t *testing.T) {
	for _, side := range []string{"client", "upstream"} {
		rsv := frameOf(side, true, wire.Text, "x")
		rsv[0] |= 0x40
		masking := frameOf(side, true, wire.Text, "x")
		masking[1] ^= 0x80
		begun := frameOf(side, false, wire.Text, "begun")
		by := map[string]string{"client": "Client", "upstream": "Upstream"}[side]
		for name, tc := range map[string]struct {
			bad    []byte
			passes []string // what the other side gets before the close frame
		}{
			"reserved bits":                 {rsv, nil},
			"unknown opcode":                {frameOf(side, true, 3, "x"), nil},
			"long control frame":            {frameOf(side, true, wire.Ping, strings.Repeat("x", 126)), nil},
			"fragmented control frame":      {frameOf(side, false, wire.Ping, "x"), nil},
			"masking":                       {append(masking, 0, 0, 0, 0), nil}, // its header is whole
			"continuation of nothing":       {frameOf(side, true, wire.Continuation, "x"), nil},
			"a message within a message":    {slices.Concat(begun, frameOf(side, true, wire.Text, "x")), []string{"1 false begun"}},
			"a close code that is reserved": {frameOf(side, true, wire.Close, "\x03\xee"), nil},
		} {
			t.Run(side+": "+name, func(t *testing.T) {
				r := startRaw(t, nil)
				from, to := r.sockets(side)
				if _, err := from.Write(tc.bad); err != nil {
					t.Fatal(err)
				}
				// It is told its fault before anything else happens.
				first := make([]byte, 1)
				if _, err := io.ReadFull(from, first); err != nil {
					t.Fatal(err)
				}
				answered := make(chan []string, 1)
				go func() {
					got, _ := heard(io.MultiReader(bytes.NewReader(first), from))
					answered <- got
				}()
				other := map[string]string{"client": "upstream", "upstream": "client"}[side]
				want := map[string]string{"client": "close 1001 client: ", "upstream": "close 1011 upstream: "}[side]
				// The other side answers the close frame, whatever it is told; else the
				// connection would wait for that.
				if _, err := to.Write(frameOf(other, true, wire.Close, "\x03\xe8")); err != nil {
					t.Fatal(err)
				}
				got, _ := heard(to)
				if n := len(got); n != len(tc.passes)+1 || !slices.Equal(got[:n-1], tc.passes) || !strings.HasPrefix(got[n-1], want) {
					t.Errorf("the other side got %q, want %q and %q", got, tc.passes, want)
				}
				if got := <-answered; len(got) != 1 || !strings.HasPrefix(got[0], "close 1002 ") {
					t.Errorf("it got %q, want 1002", got)
				}
				r.ended(by, "ProtocolError")
			})
		}
	}
}
