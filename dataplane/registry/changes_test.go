// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

const (
	connecting   = dataplanev1alpha1.Phase_PHASE_CONNECTING
	open         = dataplanev1alpha1.Phase_PHASE_OPEN
	reconnecting = dataplanev1alpha1.Phase_PHASE_RECONNECTING
	closing      = dataplanev1alpha1.Phase_PHASE_CLOSING
)

// read returns every change at or above a stamp.
func read(t *testing.T, r *registry.Registry, from clock.Stamp) []registry.Change {
	t.Helper()
	into := make([]registry.Change, 100)
	var all []registry.Change
	for {
		n, reached, err := r.Changes(from, into)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, into[:n]...)
		if n < len(into) {
			return all
		}
		from = reached + 1
	}
}

// full is a connection about which there is something to say.
type full struct{ state *dataplanev1alpha1.Connection }

func (f full) Describe(into *dataplanev1alpha1.Connection) { proto.Merge(into, f.state) }
func (full) Disconnect(registry.Disconnect) error          { return nil }
func (full) Send(context.Context, registry.Send) error     { return nil }

func TestALifeIsToldInItsOrder(t *testing.T) {
	r := newRegistry()
	state := &dataplanev1alpha1.Connection{
		SourceIp: "192.0.2.1", UserAgent: "test/1.0", Path: "/chat", Phase: connecting, ConnectedAt: timestamppb.New(time.Unix(1767323045, 0)),
	}
	e := r.Add(func(registry.ID) registry.Connection { return full{state} })
	for _, step := range []struct {
		phase    dataplanev1alpha1.Phase
		upstream string
	}{{open, "10.0.0.7:8080"}, {reconnecting, ""}, {open, "10.0.0.8:8080"}, {closing, "10.0.0.8:8080"}} {
		before := e.Stamp()
		state.Phase, state.Upstream = step.phase, step.upstream
		if step.phase == closing {
			state.ClosingSince = timestamppb.New(time.Unix(1767323050, 0))
		}
		r.Report(e.ID(), step.phase, step.upstream)
		if e.Stamp() <= before {
			t.Errorf("stamped %d after %d", e.Stamp(), before)
		}
		if got := e.Describe().GetVersion(); got != int64(e.Stamp()) {
			t.Errorf("its version is %d, that of its last change %d", got, e.Stamp())
		}
	}
	told := func() []string {
		var lines []string
		var before dataplanev1alpha1.Phase
		for _, c := range read(t, r, 1) {
			d := c.Describe()
			if d.GetName() != e.ID().Name() || d.GetUid() != e.ID().UID() || c.ID() != e.ID() || d.GetVersion() != int64(c.Stamp) {
				t.Errorf("%v is of %v", c, d)
			}
			if d.GetSourceIp() != "192.0.2.1" || d.GetUserAgent() != "test/1.0" || d.GetPath() != "/chat" || d.GetConnectedAt().GetSeconds() != 1767323045 {
				t.Errorf("%v of %v", c.Kind, d)
			}
			if (d.GetClosingSince() != nil) != (d.GetPhase() == closing) {
				t.Errorf("%v is closing since %v", d.GetPhase(), d.GetClosingSince())
			}
			if c.Before != before {
				t.Errorf("%v to %v came after %v, it says %v", c.Kind, d.GetPhase(), before, c.Before)
			}
			before = d.GetPhase()
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%v %v %s", c.Kind, d.GetPhase(), d.GetUpstream())))
		}
		return lines
	}
	want := []string{
		"Added PHASE_CONNECTING", "Modified PHASE_OPEN 10.0.0.7:8080", "Modified PHASE_RECONNECTING", "Modified PHASE_OPEN 10.0.0.8:8080",
		"Modified PHASE_CLOSING 10.0.0.8:8080",
	}
	if got := told(); !slices.Equal(got, want) {
		t.Errorf("while it lives: %q", got)
	}
	state.FromClient = &dataplanev1alpha1.Traffic{Messages: 3, Bytes: 40}
	state.Upstream = ""
	r.Remove(e)
	state.Reset() // What is told now was kept.
	if got := told(); !slices.Equal(got, append(want, "Deleted PHASE_CLOSING")) {
		t.Errorf("after it: %q", got)
	}
	r.Report(e.ID(), open, "too late")
	r.Remove(e)
	all := read(t, r, 1)
	if len(all) != 6 {
		t.Errorf("%d changes, want 6", len(all))
	}
	if d := all[5].Describe(); d.GetFromClient().GetMessages() != 3 {
		t.Errorf("its last state is %v", d)
	}
}

// Whether it reaches is a matter of what was dropped, not of when the process
// began: before, there was nothing.
func TestWhatIsNoLongerKeptIsRefused(t *testing.T) {
	r := registry.NewWith("a pod", registry.Options{History: registry.Bounds{Changes: 3}})
	var stamps []clock.Stamp
	for range 3 {
		stamps = append(stamps, r.Add(newConnection).Stamp())
	}
	for _, from := range []clock.Stamp{0, 1, r.Clock().Boot(), stamps[0]} {
		if got := len(read(t, r, from)); got != 3 {
			t.Errorf("from %d: %d changes, want 3", from, got)
		}
	}
	stamps = append(stamps, r.Add(newConnection).Stamp())
	into := make([]registry.Change, 10)
	for _, from := range []clock.Stamp{0, r.Clock().Boot(), stamps[0]} {
		n, _, err := r.Changes(from, into)
		if !errors.Is(err, registry.ErrForgotten) || n != 0 {
			t.Errorf("from %d: %d changes, %v", from, n, err)
		}
		select {
		case <-r.Wake(from):
		default:
			t.Errorf("who waits from %d on is not told", from)
		}
	}
	for i, from := range []clock.Stamp{stamps[0] + 1, stamps[1] + 1, stamps[2] + 1, stamps[3] + 1} {
		if got := len(read(t, r, from)); got != 3-i {
			t.Errorf("after change %d: %d changes, want %d", i, got, 3-i)
		}
	}
}

// The phase before a change is needed by those who select by it, however long ago
// it began.
func TestThePhaseBeforeIsKnownWhenItsChangeIsForgotten(t *testing.T) {
	r := registry.NewWith("a pod", registry.Options{History: registry.Bounds{Changes: 2}})
	e := r.Add(newConnection)
	r.Report(e.ID(), open, "10.0.0.7:8080")
	for range 10 {
		r.Add(newConnection)
	}
	from := r.Clock().Now() + 1
	r.Report(e.ID(), closing, "10.0.0.7:8080")
	if all := read(t, r, from); len(all) != 1 || all[0].Before != open {
		t.Errorf("%+v", all)
	}
	r.Remove(e)
	if all := read(t, r, from); len(all) != 2 || all[1].Before != closing {
		t.Errorf("%+v", all)
	}
}

func TestWhatIsReadSaysHowFarItIsComplete(t *testing.T) {
	now := time.Unix(1767323045, 0)
	r := registry.NewWith("a pod", registry.Options{Now: func() time.Time { return now }})
	var stamps []clock.Stamp
	for range 700 {
		stamps = append(stamps, r.Add(newConnection).Stamp())
	}
	into := make([]registry.Change, 1000)
	n, reached, err := r.Changes(1, into[:3])
	if n != 3 || reached != stamps[3]-1 || err != nil {
		t.Errorf("3 of 700: %d, complete to %d, %v", n, reached-stamps[0], err)
	}
	n, reached, err = r.Changes(reached+1, into)
	if n != 512 || reached != stamps[515]-1 || err != nil {
		t.Errorf("of the rest: %d, complete to %d, %v", n, reached-stamps[0], err)
	}
	n, reached, err = r.Changes(reached+1, into)
	if n != 185 || reached != stamps[699] || err != nil {
		t.Errorf("of the rest of that: %d, complete to %d, %v", n, reached-stamps[0], err)
	}
	// The clock comes forward while nothing happens, and no change comes below.
	now = now.Add(time.Minute)
	n, reached, err = r.Changes(reached+1, into)
	if n != 0 || reached != clock.Stamp(now.UnixMicro()) || err != nil {
		t.Errorf("a minute later: %d, complete to %d, %v", n, reached-stamps[0], err)
	}
	if s := r.Add(newConnection).Stamp(); s <= reached {
		t.Errorf("a change at %d came after everything up to %d had been read", s, reached)
	}
	// What is asked for moves nothing.
	const far = clock.Stamp(1<<63 - 1)
	if n, got, err := r.Changes(far, into); n != 0 || got > reached+1 || err != nil {
		t.Errorf("from the future: %d, %d, %v", n, got, err)
	}
}

func TestWhoWaitsIsWokenByTheNextChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		from := r.Clock().Now() + 1
		var woken atomic.Int32
		for range 100 {
			go func() {
				<-r.Wake(from)
				woken.Add(1)
			}()
		}
		synctest.Wait()
		if n := woken.Load(); n != 0 {
			t.Errorf("%d were woken by nothing", n)
		}
		e := r.Add(newConnection)
		synctest.Wait()
		if n := woken.Load(); n != 100 {
			t.Errorf("%d of 100 were woken", n)
		}
		from = e.Stamp() + 1
		later := r.Wake(from)
		select {
		case <-later:
			t.Error("woken by a change that came before")
		default:
		}
		r.Remove(e)
		<-later
		<-r.Wake(from)
		time.Sleep(time.Hour) // The history's timer must come to an end.
	})
}

// Nothing that a connection is made of stays in memory for the sake of its past.
func TestWhatIsLeftOfAConnectionCanBeDescribedAndNotDisconnected(t *testing.T) {
	r := newRegistry()
	e := r.Add(newConnection)
	r.Remove(e)
	if err := e.Disconnect(registry.Disconnect{}); err != nil {
		t.Errorf("who still holds it cannot use it: %v", err)
	}
	if e.Connection() != (connection{e.ID()}) {
		t.Errorf("who still holds it finds %v", e.Connection())
	}
	for _, c := range read(t, r, 1) {
		if got := c.Describe().GetPath(); got != "/"+e.ID().Name() {
			t.Errorf("%v: %s", c.Kind, got)
		}
	}
}
