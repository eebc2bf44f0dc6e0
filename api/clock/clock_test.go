// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package clock_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/wsproxy/wsproxy/api/clock"
)

// wall is a wall clock that a test sets.
type wall struct{ now time.Time }

func (w *wall) read() time.Time { return w.now }

func micros(d time.Duration) clock.Stamp { return clock.Stamp(d.Microseconds()) }

func TestItStartsAboveWallTimeAndGoesWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(time.Now)
		started := clock.Stamp(time.Now().UnixMicro())
		if got := c.Now(); got != started+micros(clock.Lead) || got != c.Boot() {
			t.Errorf("it starts %d µs above wall time, and says that it did at %d", got-started, c.Boot()-started)
		}
		time.Sleep(clock.Lead)
		if got := c.Now(); got != c.Boot() {
			t.Errorf("it moved by %d µs before wall time had reached it", got-c.Boot())
		}
		time.Sleep(time.Second)
		if got, want := c.Now(), clock.Stamp(time.Now().UnixMicro()); got != want {
			t.Errorf("it is %d µs away from wall time", got-want)
		}
	})
}

func TestAStampIsAResourceVersionThatClientsCompare(t *testing.T) {
	for _, year := range []int{1969, 1970, 2026, 2200} {
		w := &wall{time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)}
		c := clock.New(w.read)
		before, after := strconv.FormatInt(int64(c.Tick()), 10), strconv.FormatInt(int64(c.Tick()), 10)
		if got, err := resourceversion.CompareResourceVersion(before, after); err != nil || got != -1 {
			t.Errorf("in %d, %s and then %s compare as %d, %v", year, before, after, got, err)
		}
	}
}

// A container that is restarted begins above what it stamped before, also where a
// replica with a faster clock had moved it.
func TestARestartIsAboveWhatWasStampedBefore(t *testing.T) {
	w := &wall{time.UnixMicro(1767323045_000000)}
	before := clock.New(w.read)
	for range 1000 {
		w.now = w.now.Add(10 * time.Millisecond)
		before.Tick()
	}
	if _, err := before.MovePast(before.Now() + micros(clock.Lead-time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	last := before.Tick()
	w.now = w.now.Add(time.Millisecond)
	if first := clock.New(w.read).Tick(); first <= last {
		t.Errorf("stamped %d after %d", first, last)
	}
}

func TestItStandsWhileWallTimeGoesBack(t *testing.T) {
	w := &wall{time.UnixMicro(1767323045_000000)}
	c := clock.New(w.read)
	w.now = w.now.Add(time.Minute)
	before := c.Now()
	w.now = w.now.Add(-time.Hour)
	if got := c.Now(); got != before {
		t.Errorf("reading it moved it by %d µs", got-before)
	}
	if got := c.Tick(); got != before+1 {
		t.Errorf("a change moved it by %d µs, want 1", got-before)
	}
	// Others go on with the time that is right, or was: it keeps up with them.
	if got, err := c.MovePast(before + micros(time.Second)); err != nil || got != before+micros(time.Second)+1 {
		t.Errorf("moved by %d µs, %v", got-before, err)
	}
}

func TestItMovesPastOthersButNotFarAhead(t *testing.T) {
	w := &wall{time.UnixMicro(1767323045_000000)}
	begin := clock.New(w.read).Now()
	for _, test := range []struct {
		sent, want clock.Stamp
		refused    bool
	}{
		{sent: begin, want: begin + 1},
		{sent: begin - 1, want: begin + 1},
		{sent: 0, want: begin + 1},
		{sent: math.MinInt64, want: begin + 1},
		{sent: begin + 1, want: begin + 2},
		{sent: begin + micros(clock.MaxAhead), want: begin + micros(clock.MaxAhead) + 1},
		{sent: begin + micros(clock.MaxAhead) + 1, want: begin, refused: true},
		{sent: begin + micros(time.Hour), want: begin, refused: true},
		{sent: math.MaxInt64, want: begin, refused: true},
	} {
		c := clock.New(w.read)
		got, err := c.MovePast(test.sent)
		if got != test.want || errors.Is(err, clock.ErrAhead) != test.refused || (err != nil) != test.refused {
			t.Errorf("past %+d µs: %+d µs, %v", test.sent-begin, got-begin, err)
		}
		if err != nil && !strings.Contains(err.Error(), strconv.FormatInt(int64(test.sent), 10)) {
			t.Errorf("the error does not say what was sent: %v", err)
		}
		if now := c.Now(); now != test.want {
			t.Errorf("past %+d µs: it stands at %+d µs, want %+d", test.sent-begin, now-begin, test.want-begin)
		}
		if tick := c.Tick(); tick != test.want+1 {
			t.Errorf("past %+d µs: the next change is stamped %+d µs", test.sent-begin, tick-begin)
		}
	}
}

// Whatever comes, in whatever order, and whatever wall time does.
func TestItOnlyMovesForward(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	w := &wall{time.UnixMicro(1767323045_000000)}
	c := clock.New(w.read)
	last, ticked := c.Boot(), c.Boot()
	for range 100_000 {
		w.now = w.now.Add(time.Duration(random.IntN(2_000_000)-900_000) * time.Microsecond)
		var got clock.Stamp
		switch random.IntN(3) {
		case 0:
			got = c.Tick()
			if got <= last || got < clock.Stamp(w.now.UnixMicro()) {
				t.Fatalf("a change is stamped %d after %d, at %d", got, last, w.now.UnixMicro())
			}
			ticked = got
		case 1:
			got = c.Now()
			if got < ticked || got < clock.Stamp(w.now.UnixMicro()) {
				t.Fatalf("it says %d after a change at %d, at %d", got, ticked, w.now.UnixMicro())
			}
		case 2:
			sent := last + clock.Stamp(random.IntN(12_000_000)-6_000_000)
			var err error
			if got, err = c.MovePast(sent); err == nil && (got <= sent || got <= ticked) {
				t.Fatalf("past %d it says %d", sent, got)
			}
		}
		if got < last {
			t.Fatalf("it went back from %d to %d", last, got)
		}
		last = got
	}
}

func TestNoTwoChangesShareAStamp(t *testing.T) {
	c := clock.New(time.Now)
	stamps := make([][]clock.Stamp, 8)
	var all sync.WaitGroup
	for i := range stamps {
		all.Go(func() {
			for n := range 5000 {
				if n%10 == 0 {
					if _, err := c.MovePast(c.Now()); err != nil {
						t.Error(err)
					}
				}
				stamps[i] = append(stamps[i], c.Tick())
			}
		})
	}
	all.Wait()
	seen := map[clock.Stamp]bool{}
	for _, mine := range stamps {
		for i, s := range mine {
			if seen[s] || i > 0 && s <= mine[i-1] {
				t.Fatalf("%d came twice, or late", s)
			}
			seen[s] = true
		}
	}
}

func BenchmarkTick(b *testing.B) {
	c := clock.New(time.Now)
	for b.Loop() {
		c.Tick()
	}
}
