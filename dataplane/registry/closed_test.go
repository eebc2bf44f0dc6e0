// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// closedOf is ordinary, and how it ended.
func closedOf(cause string) *dataplanev1alpha1.Connection {
	c := ordinary()
	c.Upstream = ""
	c.End = &dataplanev1alpha1.End{
		By: "Client", Cause: cause, Code: 4001, Reason: "bye", CutOff: true, Undelivered: 3,
		At: timestamppb.New(time.UnixMicro(1767323046_123456)), Upstream: "10.244.1.17:8080",
	}
	return c
}

// closedNames lists those that have ended, in pages.
func closedNames(r *Registry, size int) (all []string) {
	after := ""
	for {
		page, remaining := r.ClosedAfter(after, size)
		for _, e := range page {
			all = append(all, e.id.Name())
		}
		if remaining == 0 {
			return all
		}
		after = all[len(all)-1]
	}
}

func TestHowAConnectionEndedIsRemembered(t *testing.T) {
	r := New("k5dfau6e5kgemg63i")
	e := r.Add(newBlank)
	name := e.id.Name()
	if r.GetClosed(name) != nil {
		t.Error("one that lives has ended")
	}
	r.RemoveAs(e.id, closedOf("ClientClose"))
	left := r.GetClosed(name)
	if left == nil || r.Get(name) != nil {
		t.Fatalf("it is %v, and live as %v", left, r.Get(name))
	}
	want := closedOf("ClientClose")
	want.Name, want.Uid, want.Version = name, e.id.UID(), int64(left.Stamp())
	if got := left.Describe(); !proto.Equal(got, want) {
		t.Errorf("it is remembered as\n%v, want\n%v", got, want)
	}
	// A change tells nothing of it: it may be one from before the end.
	into := make([]Change, 10)
	n, _, err := r.Changes(1, into)
	if err != nil || n != 2 {
		t.Fatalf("%d changes, %v", n, err)
	}
	for _, c := range into[:n] {
		if d := c.Describe(); d.GetEnd() != nil || d.GetName() != name {
			t.Errorf("%v tells %v", c.Kind, d)
		}
	}
	for _, other := range []string{"", "chat", "k5dfau6e5kgemg63j" + name[podIDLength:], name[:nameLength-1] + "v"} {
		if r.GetClosed(other) != nil {
			t.Errorf("%q has ended", other)
		}
	}
}

// A connection that was never opened has no end.
func TestWhatWasNeverOpenedIsNotRemembered(t *testing.T) {
	r := New("k5dfau6e5kgemg63i")
	e := r.Add(newBlank)
	r.RemoveAs(e.id, ordinary())
	if page, remaining := r.ClosedAfter("", 10); len(page)+remaining > 0 || r.GetClosed(e.id.Name()) != nil {
		t.Errorf("%d are remembered", len(page)+remaining)
	}
}

// They end in another order than they began.
func TestTheClosedAreListedInTheOrderOfTheirNames(t *testing.T) {
	r := New("k5dfau6e5kgemg63i")
	var live []*Entry
	for range 1000 {
		live = append(live, r.Add(newBlank))
	}
	rand.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
	var want []string
	for _, e := range live[:700] {
		r.RemoveAs(e.id, closedOf("ClientClose"))
		want = append(want, e.id.Name())
	}
	slices.Sort(want)
	for _, size := range []int{1, 7, 699, 700, 5000} {
		if got := closedNames(r, size); !slices.Equal(got, want) {
			t.Errorf("pages of %d have %d", size, len(got))
		}
	}
	for _, test := range []struct {
		after       string
		limit       int
		first, last int
	}{{want[9], 5, 10, 15}, {want[699], 5, 700, 700}, {"zzz", 5, 700, 700}, {"", 0, 0, 0}} {
		page, remaining := r.ClosedAfter(test.after, test.limit)
		if len(page) != test.last-test.first || remaining != 700-test.last || len(page) > 0 && page[0].id.Name() != want[test.first] {
			t.Errorf("after %q: %d and %d more", test.after, len(page), remaining)
		}
	}
}

func TestTheFirstThatEndedAreForgottenFirst(t *testing.T) {
	for what, test := range map[string]struct {
		ends, most int
		path       string
	}{
		"there are many": {closedMost + 100, closedMost, "/"},
		"they are large": {5000, 2600, "/" + strings.Repeat("x", 1500)},
	} {
		t.Run(what, func(t *testing.T) {
			r := New("k5dfau6e5kgemg63i")
			var ended []string
			for range test.ends {
				e := r.Add(newBlank)
				last := closedOf("MaxAge")
				last.Path = test.path
				r.RemoveAs(e.id, last)
				ended = append(ended, e.id.Name())
			}
			got := closedNames(r, 500)
			if !slices.Equal(got, ended[len(ended)-len(got):]) || len(got) > test.most || len(got) < test.most*4/5 {
				t.Errorf("%d of %d are remembered", len(got), len(ended))
			}
			c := &r.closed
			if c.bytes > closedBytes || c.len != len(got) || len(c.chunks) > c.bytes/chunkBytes+2 {
				t.Errorf("%d with %d bytes, in %d chunks", c.len, c.bytes, len(c.chunks))
			}
		})
	}
}

// Readers see nobody change what they read.
func TestTheClosedAreReadWhileOthersEnd(t *testing.T) {
	r := New("k5dfau6e5kgemg63i")
	end := func(n int) {
		for range n {
			r.RemoveAs(r.Add(newBlank).id, closedOf("ClientClose"))
		}
	}
	end(closedMost - 500)
	var ending, reading sync.WaitGroup
	for range 4 {
		ending.Go(func() { end(500) }) // More in all than are remembered.
	}
	done := make(chan struct{})
	reading.Go(func() {
		for {
			page, _ := r.ClosedAfter("", 100)
			if !slices.IsSortedFunc(page, func(a, b *Entry) int { return cmp.Compare(a.id.sequence, b.id.sequence) }) {
				t.Error("a page is not sorted")
			}
			for _, e := range page {
				if d := e.Describe(); d.GetEnd().GetCode() != 4001 || d.GetName() != e.id.Name() {
					t.Errorf("one is %v", d)
				}
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	ending.Wait()
	close(done)
	reading.Wait()
	if n := len(closedNames(r, 5000)); n != closedMost {
		t.Errorf("%d are remembered", n)
	}
}

// Addresses of those who left are forgotten also when nothing else happens, and
// memory is given back.
func TestTheClosedAreForgottenAfterTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New("k5dfau6e5kgemg63i")
		time.Sleep(time.Second) // From here on the clock is wall time.
		end := func() { r.RemoveAs(r.Add(newBlank).id, closedOf("ClientClose")) }
		for range 3 * forgetAtOnce {
			end()
		}
		time.Sleep(closedAge / 2)
		end()
		time.Sleep(closedAge/2 - time.Second)
		if n := len(closedNames(r, 5000)); n != 3*forgetAtOnce+1 {
			t.Errorf("%d are remembered for ten minutes", n)
		}
		time.Sleep(closedEvery + 2*time.Second)
		if n := len(closedNames(r, 5000)); n != 1 {
			t.Errorf("%d are remembered for longer, want the one that ended later", n)
		}
		time.Sleep(closedAge / 2)
		r.mu.Lock()
		defer r.mu.Unlock()
		if c := &r.closed; c.chunks != nil || c.bytes != 0 || c.forgets {
			t.Errorf("kept for nothing: %d chunks, %d bytes, timer %v", len(c.chunks), c.bytes, c.forgets)
		}
	})
}

// bytesPerClosed bounds what is kept of an ordinary connection that has ended once the
// history has forgotten it: when, which and where (10), and what it has not in common
// with others (80).
const bytesPerClosed = 10 + 80

func TestMemoryOfTheClosedIsBounded(t *testing.T) {
	r := NewWith("k5dfau6e5kgemg63i", Options{History: Bounds{Changes: 1}})
	before := heap()
	for range closedMost {
		r.RemoveAs(r.Add(newBlank).id, closedOf("ClientClose"))
	}
	took := heap() - before
	t.Logf("%d bytes each, %d counted", took/closedMost, r.closed.bytes/closedMost)
	if took > closedMost*bytesPerClosed {
		t.Errorf("each takes %d bytes, want at most %d", took/closedMost, bytesPerClosed)
	}
	if n := r.closed.len; n != closedMost {
		t.Errorf("%d ordinary ones fit", n)
	}
}
