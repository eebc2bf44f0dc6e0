// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// connection is one that knows its name.
type connection struct{ id registry.ID }

func (c connection) Describe(into *dataplanev1alpha1.Connection) {
	into.Path = "/" + c.id.Name()
}

func (connection) Disconnect(registry.Disconnect) error { return nil }

func (connection) Send(context.Context, registry.Send) error { return nil }

func newConnection(id registry.ID) registry.Connection { return connection{id} }

func newRegistry() *registry.Registry {
	return registry.New(registry.NewPodID("8f4c3a0e-0000-4000-8000-000000000001", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)))
}

// names lists everything in pages of the given size.
func names(r *registry.Registry, size int) []string {
	var all []string
	after := ""
	for {
		page, remaining := r.After(after, size)
		for _, e := range page {
			all = append(all, e.ID().Name())
		}
		if remaining == 0 {
			return all
		}
		after = all[len(all)-1]
	}
}

func TestAConnectionMayHaveMemoryForItsEntry(t *testing.T) {
	r := newRegistry()
	other := r.Add(newConnection)
	c := &struct {
		connection
		entry registry.Entry
	}{}
	r.AddIn(&c.entry, c)
	name := c.entry.ID().Name()
	if got := r.Get(name); got != &c.entry || got.Connection() != registry.Connection(c) {
		t.Errorf("Get returned %p", got)
	}
	if got := names(r, 10); !slices.Equal(got, []string{other.ID().Name(), name}) {
		t.Errorf("listed %q", got)
	}
	r.RemoveAs(c.entry.ID(), &dataplanev1alpha1.Connection{})
	if got := r.Get(name); got != nil {
		t.Errorf("it is still there as %p", got)
	}
}

func TestEntriesAreFoundByNameUntilTheyAreRemoved(t *testing.T) {
	r := newRegistry()
	e := r.Add(newConnection)
	if got := r.Get(e.ID().Name()); got != e {
		t.Fatalf("Get returned %v", got)
	}
	described := e.Describe()
	if described.GetName() != e.ID().Name() || described.GetUid() != e.ID().UID() || described.GetPath() != "/"+e.ID().Name() {
		t.Errorf("described as %v", described)
	}
	r.Remove(e)
	r.Remove(e)
	if r.Get(e.ID().Name()) != nil || r.Len() != 0 {
		t.Errorf("it is still there; Len %d", r.Len())
	}
}

func TestNamesOfOthersAreNotFound(t *testing.T) {
	r := newRegistry()
	e := r.Add(newConnection)
	other := registry.New(registry.NewPodID("another", time.Now())).Add(newConnection)
	for _, name := range []string{
		"", "x", other.ID().Name(), e.ID().Name() + "0", e.ID().Name()[1:], string(r.PodID()) + "-00000001", string(r.PodID()) + "_00000000",
	} {
		if r.Get(name) != nil {
			t.Errorf("Get(%q) found something", name)
		}
	}
}

func TestListingFollowsTheOrderOfOpening(t *testing.T) {
	r := newRegistry()
	var want []string
	for range 100 {
		want = append(want, r.Add(newConnection).ID().Name())
	}
	if !slices.IsSorted(want) {
		t.Fatalf("names do not ascend: %v", want)
	}
	for _, size := range []int{1, 7, 100, 1000} {
		if got := names(r, size); !slices.Equal(got, want) {
			t.Errorf("pages of %d list %v", size, got)
		}
	}
	page, remaining := r.After(want[9], 5)
	if len(page) != 5 || page[0].ID().Name() != want[10] || remaining != 85 {
		t.Errorf("after the tenth: %d entries and %d remaining", len(page), remaining)
	}
}

func TestListingStartsAfterAnyText(t *testing.T) {
	r := newRegistry()
	first, second := r.Add(newConnection).ID().Name(), r.Add(newConnection).ID().Name()
	for after, want := range map[string]int{
		"": 2, "-": 2, "zzz": 0, string(r.PodID()): 2, string(r.PodID()) + "-": 2, first: 1, first + "-": 1, second: 0, second + "\x00": 0,
	} {
		if page, remaining := r.After(after, 10); len(page) != want || remaining != 0 {
			t.Errorf("After(%q) returned %d entries and %d remaining, want %d", after, len(page), remaining, want)
		}
	}
}

// A reference that is too simple to be wrong: a sorted list of names.
func TestManyOpenAndCloseInAnyOrder(t *testing.T) {
	for _, keep := range []int{0, 10, 3000} {
		t.Run(fmt.Sprintf("down to %d", keep), func(t *testing.T) {
			r := newRegistry()
			random := rand.New(rand.NewPCG(1, uint64(keep)))
			var live []*registry.Entry
			for range 20000 {
				live = append(live, r.Add(newConnection))
				for len(live) > keep && random.IntN(2) == 0 {
					i := random.IntN(len(live))
					r.Remove(live[i])
					live = slices.Delete(live, i, i+1)
				}
			}
			for len(live) > keep {
				r.Remove(live[0])
				live = live[1:]
			}
			want := make([]string, 0, len(live))
			for _, e := range live {
				want = append(want, e.ID().Name())
				if r.Get(e.ID().Name()) != e {
					t.Fatalf("%s is not found", e.ID().Name())
				}
			}
			if got := names(r, 97); !slices.Equal(got, want) {
				t.Fatalf("lists %d names, want %d", len(got), len(want))
			}
			for i := 0; i < len(want); i += 111 {
				if _, remaining := r.After(want[i], 3); remaining != max(0, len(want)-i-1-3) {
					t.Errorf("%d remaining after place %d of %d and a page of 3", remaining, i, len(want))
				}
			}
			if r.Len() != keep {
				t.Errorf("Len %d, want %d", r.Len(), keep)
			}
		})
	}
}

func TestAllStopsWhenItIsToldTo(t *testing.T) {
	r := newRegistry()
	for range 2000 {
		r.Add(newConnection)
	}
	count := 0
	for range r.All() {
		if count++; count == 700 {
			break
		}
	}
	if count != 700 {
		t.Errorf("yielded %d", count)
	}
	count = 0
	for range r.All() {
		count++
	}
	if count != 2000 {
		t.Errorf("yielded %d of 2000", count)
	}
	for range newRegistry().All() {
		t.Error("an empty registry yields")
	}
}

func BenchmarkOpenAndCloseAmongAMillion(b *testing.B) {
	r := newRegistry()
	live := make([]*registry.Entry, 1_000_000)
	for i := range live {
		live[i] = r.Add(newConnection)
	}
	for b.Loop() {
		i := rand.IntN(len(live))
		r.Remove(live[i])
		live[i] = r.Add(newConnection)
	}
}

func BenchmarkPageAmongAMillion(b *testing.B) {
	r := newRegistry()
	var middle string
	for i := range 1_000_000 {
		if e := r.Add(newConnection); i == 500_000 {
			middle = e.ID().Name()
		}
	}
	for b.Loop() {
		r.After(middle, 500)
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprintf("among %d", n), func(b *testing.B) {
			r := newRegistry()
			names := make([]string, 0, n)
			for range n {
				e, gone := r.Add(newConnection), r.Add(newConnection)
				r.Remove(gone) // Gaps, as there are after a while.
				names = append(names, e.ID().Name())
			}
			for b.Loop() {
				if r.Get(names[rand.IntN(n)]) == nil {
					b.Fatal("not found")
				}
			}
		})
	}
}

func BenchmarkChangesOfAFullHistory(b *testing.B) {
	r := newRegistry()
	var middle clock.Stamp
	for i := range 200_000 {
		if e := r.Add(newConnection); i == 130_000 {
			middle = e.Stamp()
		}
	}
	into := make([]registry.Change, 512)
	for b.Loop() {
		if n, _, err := r.Changes(middle, into); n != len(into) || err != nil {
			b.Fatal(n, err)
		}
	}
}
