// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// watcher is a caller who watches, and checks what must always hold.
type watcher struct {
	*testing.T
	stream dataplanev1alpha1.Connections_WatchClient
	first  *dataplanev1alpha1.WatchResponse
	// from and clock are what is complete.
	from, clock int64
	changes     []*dataplanev1alpha1.Change
	ended       bool
}

func watch(t *testing.T, client dataplanev1alpha1.ConnectionsClient, first *dataplanev1alpha1.WatchRequest) *watcher {
	t.Helper()
	stream, err := client.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(first); err != nil {
		t.Fatal(err)
	}
	return &watcher{T: t, stream: stream, from: first.GetFrom()}
}

// next receives one response.
func (w *watcher) next() error {
	w.Helper()
	r, err := w.stream.Recv()
	if err != nil {
		return err
	}
	if w.first == nil {
		w.first = r
		if w.from == 0 {
			w.from, w.clock = r.GetClock()+1, r.GetClock()
		}
	} else if r.GetBefore() != 0 || r.GetPodId() != w.first.GetPodId() || r.GetBoot() != w.first.GetBoot() {
		w.Errorf("after %v it says %v", w.first, r)
	}
	if w.ended || r.GetClock() < w.clock {
		w.Errorf("after %d, ended %v, it says %d", w.clock, w.ended, r.GetClock())
	}
	last := max(w.from-1, w.clock)
	for _, c := range r.GetChanges() {
		stamp := c.GetConnection().GetVersion()
		if stamp <= last || stamp > r.GetClock() {
			w.Errorf("a change at %d comes after %d, with a report of %d", stamp, last, r.GetClock())
		}
		last = stamp
	}
	w.changes = append(w.changes, r.GetChanges()...)
	w.clock, w.ended = r.GetClock(), r.GetEnded()
	return nil
}

func (w *watcher) until(what string, done func() bool) {
	w.Helper()
	for !done() {
		if err := w.next(); err != nil {
			w.Fatalf("%s: %v", what, err)
		}
	}
}

func (w *watcher) told() []string {
	var lines []string
	for _, c := range w.changes {
		lines = append(lines, fmt.Sprintf("%v %v->%v", c.GetKind(), c.GetBefore(), c.GetConnection().GetPhase()))
	}
	return lines
}

func TestAWatchTellsWhatChanges(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	p.registry.Add(newConnection)
	w := watch(t, client, &dataplanev1alpha1.WatchRequest{})
	w.until("it begins", func() bool { return w.first != nil })
	if w.first.GetPodId() != string(p.registry.PodID()) || w.first.GetBoot() != int64(p.registry.Clock().Boot()) {
		t.Errorf("it begins with %v", w.first)
	}
	e := p.registry.Add(newConnection)
	p.registry.Report(e.ID(), dataplanev1alpha1.Phase_PHASE_OPEN, "10.0.0.7:8080")
	p.registry.Remove(e)
	w.until("all is told", func() bool { return len(w.changes) >= 3 })
	want := []string{
		"KIND_ADDED PHASE_UNSPECIFIED->PHASE_CONNECTING", "KIND_MODIFIED PHASE_CONNECTING->PHASE_OPEN", "KIND_DELETED PHASE_OPEN->PHASE_OPEN",
	}
	for i, c := range w.changes {
		if c.GetConnection().GetName() != e.ID().Name() || c.GetConnection().GetUid() != e.ID().UID() {
			t.Errorf("change %d is of %v", i, c)
		}
	}
	// What it ended as is what it says of itself then.
	if got := w.told(); len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2][:len("KIND_DELETED PHASE_OPEN")] != want[2][:len("KIND_DELETED PHASE_OPEN")] {
		t.Errorf("told %q", got)
	}
}

// Idle or not, the clock is reported, and at once where it is asked for.
func TestAWatchReportsTheClock(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	w := watch(t, client, &dataplanev1alpha1.WatchRequest{})
	w.until("it begins", func() bool { return w.first != nil })
	began := w.clock
	w.until("time goes by", func() bool { return w.clock > began+time.Second.Microseconds() })
	if len(w.changes) > 0 {
		t.Errorf("told %q", w.told())
	}
	for range 50 {
		sent := w.clock + time.Second.Microseconds()
		if err := w.stream.Send(&dataplanev1alpha1.WatchRequest{Clock: sent}); err != nil {
			t.Fatal(err)
		}
		w.until("the clock has moved", func() bool { return w.clock > sent })
	}
	// One that is far ahead is answered and not followed.
	before := w.clock
	if err := w.stream.Send(&dataplanev1alpha1.WatchRequest{Clock: before + time.Hour.Microseconds()}); err != nil {
		t.Fatal(err)
	}
	if err := w.next(); err != nil || w.clock > before+time.Hour.Microseconds()/2 {
		t.Errorf("%v, the clock has moved by %d µs", err, w.clock-before)
	}
}

func TestAWatchFromThePastThatIsOverWhenItHasCaughtUp(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	var entries []*registry.Entry
	for range 1000 {
		entries = append(entries, p.registry.Add(newConnection))
	}
	sent := int64(p.registry.Clock().Now()) + time.Second.Microseconds()
	before := int64(p.registry.Clock().Last())
	w := watch(t, client, &dataplanev1alpha1.WatchRequest{From: int64(entries[100].Stamp()), Clock: sent, Once: true})
	var err error
	for err == nil {
		err = w.next()
	}
	if !errors.Is(err, io.EOF) || len(w.changes) != 900 || w.clock <= sent || w.ended {
		t.Errorf("%v after %d changes, at %d, sent %d, ended %v", err, len(w.changes), w.clock, sent, w.ended)
	}
	if w.first.GetBefore() != before {
		t.Errorf("the clock was at %d, it says %d", before, w.first.GetBefore())
	}
	if e := p.registry.Add(newConnection); int64(e.Stamp()) <= w.clock {
		t.Errorf("a change at %d came after everything up to %d", e.Stamp(), w.clock)
	}
}

func TestAWatchThatCannotBegin(t *testing.T) {
	p := startWith(t, nil, registry.Bounds{Changes: 10})
	_, client := plainly(t, p)
	first := p.registry.Add(newConnection)
	for range 20 {
		p.registry.Add(newConnection)
	}
	for what, test := range map[string]struct {
		first *dataplanev1alpha1.WatchRequest
		want  codes.Code
	}{
		"what is forgotten": {&dataplanev1alpha1.WatchRequest{From: int64(first.Stamp())}, codes.OutOfRange},
		"a clock far ahead": {&dataplanev1alpha1.WatchRequest{Clock: 1<<63 - 1}, codes.FailedPrecondition},
		"a negative stamp":  {&dataplanev1alpha1.WatchRequest{From: -1}, codes.InvalidArgument},
		"a negative clock":  {&dataplanev1alpha1.WatchRequest{Clock: -1}, codes.InvalidArgument},
	} {
		wantCode(t, watch(t, client, test.first).next(), test.want, what)
	}
}

// Who is too slow for the history is told so, and costs no more than a window.
func TestAWatchThatFallsBehind(t *testing.T) {
	p := startWith(t, nil, registry.Bounds{Changes: 1000})
	_, client := plainly(t, p)
	w := watch(t, client, &dataplanev1alpha1.WatchRequest{})
	w.until("it begins", func() bool { return w.first != nil })
	for range 200_000 {
		p.registry.Remove(p.registry.Add(newConnection))
	}
	var err error
	for err == nil {
		err = w.next()
	}
	wantCode(t, err, codes.OutOfRange, "a slow reader")
}

// Who does not read at all is cut, also while the connection below lives.
func TestAWatchThatNobodyReadsIsCut(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	_, client := plainly(t, p)
	w := watch(t, client, &dataplanev1alpha1.WatchRequest{})
	w.until("it begins", func() bool { return w.first != nil })
	for range 2000 { // More than a window takes.
		p.registry.Remove(p.registry.Add(newConnection))
	}
	<-time.After(15 * time.Second)
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			err = w.next()
		}
		ended <- err
	}()
	wantCode(t, <-ended, codes.DeadlineExceeded, "nobody has read")
}

func TestTooManyWatch(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	for range 64 {
		stream, err := client.Watch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&dataplanev1alpha1.WatchRequest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, watch(t, client, &dataplanev1alpha1.WatchRequest{}).next(), codes.ResourceExhausted, "one too many")
	cancel()
	for {
		err := watch(t, client, &dataplanev1alpha1.WatchRequest{}).next()
		if err == nil {
			return // They have made room.
		}
		wantCode(t, err, codes.ResourceExhausted, "before they have left")
	}
}

// The end mark is given by a pod that has drained, and by no other.
func TestAWatchEndsWithThePod(t *testing.T) {
	for _, drained := range []bool{true, false} {
		t.Run(fmt.Sprintf("drained %v", drained), func(t *testing.T) {
			p := start(t, nil)
			_, client := plainly(t, p)
			e := p.registry.Add(newConnection)
			w := watch(t, client, &dataplanev1alpha1.WatchRequest{From: 1})
			w.until("it begins", func() bool { return len(w.changes) == 1 })
			if drained {
				p.drains.Add(1)
				p.registry.Remove(e)
			}
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				p.server.Stop(t.Context())
			}()
			var err error
			for err == nil {
				err = w.next()
			}
			<-stopped // A watch does not keep the process from ending.
			switch {
			case drained && (!errors.Is(err, io.EOF) || !w.ended || len(w.changes) != 2):
				t.Errorf("%v, ended %v, told %q", err, w.ended, w.told())
			case !drained && (errors.Is(err, io.EOF) || w.ended):
				t.Errorf("%v, ended %v", err, w.ended)
			}
		})
	}
}

func TestAWatchAmongThoseWhoOpenAndClose(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	w := watch(t, client, &dataplanev1alpha1.WatchRequest{From: 1})
	done := make(chan []string)
	go func() {
		var live []string
		var entries []*registry.Entry
		for i := range 20_000 {
			entries = append(entries, p.registry.Add(newConnection))
			if i%3 > 0 {
				p.registry.Remove(entries[0])
				entries = entries[1:]
			}
		}
		for _, e := range entries {
			live = append(live, e.ID().Name())
		}
		done <- live
	}()
	view, read := map[string]bool{}, 0
	apply := func() {
		for ; read < len(w.changes); read++ {
			name := w.changes[read].GetConnection().GetName()
			if view[name] = true; w.changes[read].GetKind() == dataplanev1alpha1.Change_KIND_DELETED {
				delete(view, name)
			}
		}
	}
	var want []string
	for want == nil {
		select {
		case want = <-done:
		default:
			apply()
			if err := w.next(); err != nil {
				t.Fatal(err)
			}
		}
	}
	end := int64(p.registry.Clock().Now())
	w.until("all is told", func() bool { return w.clock >= end })
	apply()
	var got []string
	for name := range view {
		got = append(got, name)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("sees %d, there are %d", len(got), len(want))
	}
}
