// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// While others come and go, whoever stays is listed in every listing, once and
// in order, and nobody is listed twice.
func TestListingWhileOthersComeAndGo(t *testing.T) {
	r := newRegistry()
	var stay []string
	for range 3000 {
		stay = append(stay, r.Add(newConnection).ID().Name())
		r.Remove(r.Add(newConnection))
	}
	var done atomic.Bool
	var churn sync.WaitGroup
	for range 4 {
		churn.Go(func() {
			var mine []*registry.Entry
			for !done.Load() {
				mine = append(mine, r.Add(newConnection))
				if len(mine) > 50 {
					r.Remove(mine[0])
					mine = mine[1:]
				}
			}
			for _, e := range mine {
				r.Remove(e)
			}
		})
	}
	for range 30 {
		var seen []string
		for e := range r.All() {
			seen = append(seen, e.ID().Name())
			if r.Get(stay[0]) == nil {
				t.Error("who stays is not found")
			}
		}
		for i := 1; i < len(seen); i++ {
			if seen[i-1] >= seen[i] {
				t.Fatalf("%s is listed before %s", seen[i-1], seen[i])
			}
		}
		if len(seen) < len(stay) || !slices.Equal(seen[:len(stay)], stay) {
			t.Fatal("somebody who stays is missing")
		}
	}
	done.Store(true)
	churn.Wait()
	if got := names(r, 500); !slices.Equal(got, stay) {
		t.Errorf("%d are listed in the end, want %d", len(got), len(stay))
	}
}

func TestPlacesAreLimitedPerPodAndPerClient(t *testing.T) {
	r := newRegistry()
	limits := registry.Limits{Connections: 3, PerClient: 2}
	alice, bob := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	reserve := func(client netip.Addr, want error) {
		t.Helper()
		if err := r.Reserve(client, limits); !errors.Is(err, want) {
			t.Fatalf("Reserve(%v): %v, want %v", client, err, want)
		}
	}
	reserve(alice, nil)
	reserve(netip.MustParseAddr("::ffff:192.0.2.1"), nil)
	reserve(alice, registry.ErrClientFull)
	reserve(bob, nil)
	reserve(bob, registry.ErrFull)
	r.Release(alice)
	reserve(alice, nil)
	reserve(alice, registry.ErrFull)
	r.Release(bob)
	reserve(alice, registry.ErrClientFull)
	reserve(bob, nil)
}

func TestALimitThatIsSetLaterCountsThoseWhoAreThere(t *testing.T) {
	r := newRegistry()
	client := netip.MustParseAddr("192.0.2.1")
	for range 5 {
		if err := r.Reserve(client, registry.Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Reserve(client, registry.Limits{PerClient: 5}); !errors.Is(err, registry.ErrClientFull) {
		t.Errorf("a sixth place: %v", err)
	}
}

func TestPlacesAreNeverOverbooked(t *testing.T) {
	r := newRegistry()
	client := netip.MustParseAddr("2001:db8::1")
	var taken atomic.Int32
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 2000 {
				if r.Reserve(client, registry.Limits{Connections: 4, PerClient: 3}) != nil {
					continue
				}
				if n := taken.Add(1); n > 3 {
					t.Errorf("%d places were taken out of 3", n)
				}
				taken.Add(-1)
				r.Release(client)
			}
		})
	}
	clients.Wait()
	for range 3 {
		if err := r.Reserve(client, registry.Limits{PerClient: 3}); err != nil {
			t.Errorf("a place was not given back: %v", err)
		}
	}
}
