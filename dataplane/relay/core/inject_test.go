// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"testing"
	"time"
)

func TestWhatWeInjectLandsBetweenFrames(t *testing.T) {
	for _, from := range bothSides {
		to := from.Other()
		f := begin(from, "a frame")
		for at := 1; at < len(f); at++ {
			h := open(t, func(s *Settings) { s.LostTimeout = 10 * time.Second })
			h.receive(from, f[:at])
			got := h.written(to)
			h.sendPing(to)
			got = append(got, h.written(to)...)
			h.receive(from, f[at:], last(from, "!"))
			got = append(got, h.written(to)...)
			frames := describe(got)
			if len(frames) != 3 {
				t.Fatalf("split at byte %d: %q", at, frames)
			}
			ours := 1 // behind the frame that was under way
			if at < len(f)-len("a frame") {
				ours = 0 // of which nothing was passed on
			}
			if frames[ours][:5] != "ping " {
				t.Errorf("split at byte %d: %q", at, frames)
			}
		}
	}
}

func TestInjectedFramesWaitForAWriteThatIsUnderWay(t *testing.T) {
	h := open(t, nil)
	h.receive(Client, text(Client, "being written"))
	b := h.take(Upstream)
	h.sendPing(Upstream)
	if h.Pending(Upstream) {
		t.Error("a second writer would be needed")
	}
	h.wrote(Upstream, len(b), false)
	if got := describe(h.written(Upstream)); len(got) != 1 || got[0][:5] != "ping " {
		t.Errorf("got %q", got)
	}
}

func TestNothingIsWrittenAfterACloseFrameOfOurs(t *testing.T) {
	for _, to := range bothSides {
		from := to.Other()
		h := open(t, nil)
		half := begin(from, "half")
		h.receive(from, half[:len(half)-2])
		h.disconnect(0)
		h.receive(from, half[len(half)-2:], last(from, "not any more"), ping(from, "nor this"))
		h.sendPing(to)
		h.want(to, "text+ half", "close 1000 go")
		h.receive(from, text(from, "nor that"))
		h.want(to)
	}
}

func TestNothingIsWrittenAfterAFailedWrite(t *testing.T) {
	h := open(t, nil)
	h.receive(Upstream, text(Upstream, "lost"))
	h.take(Client)
	h.wrote(Client, 3, true)
	h.receive(Upstream, text(Upstream, "also"))
	h.sendPing(Client)
	if h.Pending(Client) {
		t.Error("there is something to write to a broken socket")
	}
	h.wantPhase(Open) // A close frame may still be read.
}
