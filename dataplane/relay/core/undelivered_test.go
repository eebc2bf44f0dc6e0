// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"slices"
	"testing"
)

// A socket takes any part of three messages and fails: those that it took whole are
// handed over, whatever is known of the others, and the others are not.
func TestUndeliveredIsWhatAFailingSocketDidNotTakeWhole(t *testing.T) {
	one, two, three := text(Client, "one"), slices.Concat(begin(Client, "t"), last(Client, "wo")), text(Client, "three")
	all := slices.Concat(one, two, ping(Client, "hi"), three)
	for n := range len(all) + 1 {
		want := uint64(3)
		switch {
		case n == len(all):
			want = 0
		case n >= len(one)+len(two):
			want = 1
		case n >= len(one):
			want = 2
		}
		for _, closing := range []bool{false, true} {
			for _, replays := range []int{0, 1} {
				for kept := range n + 1 {
					h := open(t, func(s *Settings) { s.ReplayMessages = replays })
					h.receive(Client, all)
					h.take(Upstream)
					h.Kept(Upstream, kept)
					if closing {
						h.disconnect(0)
					}
					h.wrote(Upstream, n-kept, true)
					h.lose(Upstream, BrokenSocket)
					if got := h.Undelivered(); got != want {
						t.Fatalf("%d bytes, then %d, closing: %v, replays: %d: %d messages undelivered, want %d", kept, n-kept, closing, replays, got, want)
					}
				}
			}
		}
	}
}

// What a client says behind a close frame of ours reaches nobody.
func TestUndeliveredIsWhatCameBehindACloseFrame(t *testing.T) {
	for _, change := range []func(*Settings){func(*Settings) {}, reconnecting, func(s *Settings) { s.ReplayMessages = 1 }} {
		for _, takes := range []bool{false, true} {
			t.Run(fmt.Sprint("the close frame is taken: ", takes), func(t *testing.T) {
				h := open(t, change)
				h.receive(Client, text(Client, "before"))
				if takes {
					h.written(Upstream)
				}
				h.disconnect(0)
				var taken []byte
				if takes {
					taken = h.take(Upstream)
				}
				h.receive(Client, text(Client, "behind"), begin(Client, "and half"))
				if takes {
					h.wrote(Upstream, len(taken), false)
				}
				h.written(Upstream)
				if got := h.Undelivered(); got != 1 {
					t.Errorf("%d messages undelivered, want 1", got)
				}
			})
		}
	}
}
