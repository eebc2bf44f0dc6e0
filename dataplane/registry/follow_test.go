// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// seen is what a watcher sees of a connection.
type seen struct {
	phase    dataplanev1alpha1.Phase
	upstream string
}

// lively is a connection that reports its changes under its lock, as those of the
// relay do.
type lively struct {
	mu sync.Mutex
	seen
}

func (c *lively) Describe(into *dataplanev1alpha1.Connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	into.Phase, into.Upstream = c.phase, c.upstream
}

func (*lively) Disconnect(registry.Disconnect) error { return nil }

func (*lively) Send(context.Context, registry.Send) error { return nil }

// deed is a change by the record of the one who made it.
type deed struct {
	kind registry.Kind
	seen
	// The clock before and after it.
	before, after clock.Stamp
}

// writer opens, changes and closes connections, and keeps a record.
type writer struct {
	registry *registry.Registry
	deeds    map[string][]deed
	live     map[string]seen
}

func (w *writer) run(random *rand.Rand, steps int) {
	type mine struct {
		entry *registry.Entry
		c     *lively
	}
	var all []mine
	for range steps {
		i := random.IntN(len(all) + 1)
		before := w.registry.Clock().Now()
		var d deed
		var name string
		switch {
		case i == len(all) || random.IntN(3) == 0 && len(all) < 50:
			c := &lively{seen: seen{phase: connecting}}
			e := w.registry.Add(func(registry.ID) registry.Connection { return c })
			all = append(all, mine{e, c})
			d, name = deed{kind: registry.Added, seen: c.seen}, e.ID().Name()
			w.live[name] = c.seen
		case random.IntN(2) == 0:
			m := all[i]
			m.c.mu.Lock()
			m.c.phase = dataplanev1alpha1.Phase(2 + random.IntN(3))
			m.c.upstream = fmt.Sprintf("10.0.0.%d:80", random.IntN(3))
			d, name = deed{kind: registry.Modified, seen: m.c.seen}, m.entry.ID().Name()
			w.live[name] = m.c.seen
			w.registry.Report(m.entry.ID(), m.c.phase, m.c.upstream)
			m.c.mu.Unlock()
		default:
			m := all[i]
			d, name = deed{kind: registry.Deleted, seen: m.c.seen}, m.entry.ID().Name()
			delete(w.live, name)
			w.registry.Remove(m.entry)
			all = slices.Delete(all, i, i+1)
		}
		d.before, d.after = before, w.registry.Clock().Now()
		w.deeds[name] = append(w.deeds[name], d)
	}
}

// listing is one that was made while others came and went.
type listing struct {
	sent, began clock.Stamp
	items       map[string]*dataplanev1alpha1.Connection
}

// list does what a replica asks for: the clock first, then pages.
func list(t *testing.T, r *registry.Registry, random *rand.Rand) listing {
	sent := r.Clock().Now() + clock.Stamp(random.IntN(2_000_000)-1_000_000)
	began, err := r.Clock().MovePast(sent)
	if err != nil {
		t.Error(err)
	}
	l := listing{sent: sent, began: began, items: map[string]*dataplanev1alpha1.Connection{}}
	after, size := "", 1+random.IntN(20)
	for {
		page, remaining := r.After(after, size)
		for _, e := range page {
			d := e.Describe()
			l.items[d.GetName()], after = d, d.GetName()
		}
		if remaining == 0 {
			return l
		}
	}
}

// informer lists, follows, and lists again when it is cut or was too slow, until
// no more changes come after done.
func informer(t *testing.T, r *registry.Registry, random *rand.Rand, slow bool, done <-chan struct{}) (view map[string]seen, listings []listing, forgotten int) {
	into := make([]registry.Change, 1+random.IntN(100))
	for {
		l := list(t, r, random)
		listings = append(listings, l)
		view = map[string]seen{}
		for name, d := range l.items {
			view[name] = seen{d.GetPhase(), d.GetUpstream()}
		}
		from := l.sent
		for cut := random.IntN(100); cut > 0; {
			finished := false
			select {
			case <-done:
				finished = true // All that will ever come is there.
			default:
				cut--
			}
			n, reached, err := r.Changes(from, into)
			if errors.Is(err, registry.ErrForgotten) {
				forgotten++
				break
			}
			for _, c := range into[:n] {
				if c.Stamp < from || c.Stamp > reached {
					t.Errorf("change %d among those from %d to %d", c.Stamp, from, reached)
				}
				d := c.Describe()
				if view[d.GetName()] = (seen{d.GetPhase(), d.GetUpstream()}); c.Kind == registry.Deleted {
					delete(view, d.GetName())
				}
				if slow {
					list(t, r, random) // Anything that takes its time.
				}
			}
			from = reached + 1
			if finished && n == 0 {
				return view, listings, forgotten
			}
			if n == 0 {
				select {
				case <-r.Wake(from):
				case <-done:
				}
			}
		}
	}
}

// While several write: who follows gets every change once, in order and with a
// stamp from the time in which it was made; and whoever lists and then follows,
// from wherever and however often, comes to see what is.
func TestListingAndFollowingAmongWriters(t *testing.T) {
	for _, test := range []struct {
		changes int
		slow    bool
	}{{1 << 20, false}, {300, false}, {100, true}} {
		t.Run(fmt.Sprintf("%d changes are kept, slow %v", test.changes, test.slow), func(t *testing.T) {
			r := registry.NewWith("k5dfau6e5kgemg63i", registry.Options{History: registry.Bounds{Changes: test.changes}})
			done := make(chan struct{})
			writers := make([]*writer, 4)
			var writing, reading sync.WaitGroup
			for i := range writers {
				writers[i] = &writer{r, map[string][]deed{}, map[string]seen{}}
				writing.Go(func() { writers[i].run(rand.New(rand.NewPCG(uint64(i), 1)), 3000) })
			}
			var mu sync.Mutex
			var views []map[string]seen
			var listings []listing
			forgotten := 0
			for i := range 3 {
				reading.Go(func() {
					view, made, times := informer(t, r, rand.New(rand.NewPCG(uint64(i), 2)), test.slow, done)
					mu.Lock()
					defer mu.Unlock()
					views, listings, forgotten = append(views, view), append(listings, made...), forgotten+times
				})
			}
			writing.Wait()
			close(done)
			reading.Wait()

			truth, deeds := map[string]seen{}, map[string][]deed{}
			for _, w := range writers {
				maps.Copy(truth, w.live)
				maps.Copy(deeds, w.deeds)
			}
			for i, view := range views {
				if !maps.Equal(view, truth) {
					t.Errorf("informer %d sees %d connections, there are %d", i, len(view), len(truth))
				}
			}
			if test.slow != (forgotten > 0) && test.changes != 300 {
				t.Errorf("%d times somebody was too slow", forgotten)
			}
			if test.changes < 1<<20 {
				return
			}
			told := tell(t, r, deeds)
			for _, l := range listings {
				l.check(t, told)
			}
		})
	}
}

// tell compares the whole history with the record of those who made it.
func tell(t *testing.T, r *registry.Registry, deeds map[string][]deed) map[string][]registry.Change {
	t.Helper()
	told, last := map[string][]registry.Change{}, clock.Stamp(0)
	for _, c := range read(t, r, 1) {
		if c.Stamp <= last {
			t.Fatalf("%d comes after %d", c.Stamp, last)
		}
		last = c.Stamp
		told[c.ID().Name()] = append(told[c.ID().Name()], c)
	}
	if len(told) != len(deeds) {
		t.Fatalf("%d connections are told of, there were %d", len(told), len(deeds))
	}
	for name, did := range deeds {
		if len(told[name]) != len(did) {
			t.Fatalf("%s: %d changes are told, %d were made", name, len(told[name]), len(did))
		}
		for i, c := range told[name] {
			d := c.Describe()
			if want := did[i]; c.Kind != want.kind || d.GetPhase() != want.phase || d.GetUpstream() != want.upstream || c.Stamp <= want.before || c.Stamp > want.after {
				t.Fatalf("%s: told is %v %d %v, done %+v", name, c.Kind, c.Stamp, d, want)
			}
		}
	}
	return told
}

// check finds every change up to the clock in the listing, and every connection in
// a state that it was in.
func (l listing) check(t *testing.T, told map[string][]registry.Change) {
	t.Helper()
	for name, changes := range told {
		item := l.items[name]
		var before clock.Stamp // The last change that must be in the listing.
		var deleted, later bool
		exact := item == nil
		for _, c := range changes {
			if c.Stamp <= l.began {
				before, deleted = c.Stamp, c.Kind == registry.Deleted
			} else if c.Kind == registry.Deleted {
				later = true
			}
			if item != nil && int64(c.Stamp) == item.GetVersion() {
				d := c.Describe()
				exact = c.Kind != registry.Deleted && d.GetPhase() == item.GetPhase() && d.GetUpstream() == item.GetUpstream()
			}
		}
		switch {
		case !exact:
			t.Fatalf("%s is listed as %v, which it never was", name, item)
		case item != nil && (deleted || item.GetVersion() < int64(before)):
			t.Fatalf("%s is listed with version %d, its last before %d is %d, deleted %v", name, item.GetVersion(), l.began, before, deleted)
		case item == nil && before != 0 && !deleted && !later:
			t.Fatalf("%s is missing at %d", name, l.began)
		}
	}
}

// Somebody who reads, lists and waits without end, and does nothing with it, is
// no reason for those who open and close to wait for ever.
func TestNobodyWhoReadsHoldsUpThoseWhoWrite(t *testing.T) {
	r := newRegistry()
	for range 2000 {
		r.Add(newConnection)
	}
	stop := make(chan struct{})
	var reading sync.WaitGroup
	for range 4 {
		reading.Go(func() {
			for e := range r.All() { // It stops in the middle of its listing.
				_ = e
				<-stop
				break
			}
		})
		reading.Go(func() {
			into := make([]registry.Change, 10)
			for from := clock.Stamp(1); ; {
				_, reached, err := r.Changes(from, into)
				if err != nil {
					t.Error(err)
				}
				from = reached + 1
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		r.Wake(r.Clock().Now() + clock.Stamp(time.Hour.Microseconds())) // Nobody ever comes back for it.
	}
	for range 5000 {
		r.Remove(r.Add(newConnection))
	}
	close(stop)
	reading.Wait()
}
