// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"net/netip"
	"sync"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/config"
)

const a, b, c = "10.0.0.1:80", "10.0.0.2:80", "[fd00::3]:80"

func TestPickTakesTheLeastLoaded(t *testing.T) {
	var p Picker
	endpoints := at(a, b, c).Endpoints
	releases := map[string]func(){}
	for range 300 {
		address, release, err := p.Pick(endpoints)
		if err != nil {
			t.Fatal(err)
		}
		releases[address] = release
	}
	for _, address := range []string{a, b, c} {
		if p.Live(address) != 100 {
			t.Errorf("%s has %d connections, want 100", address, p.Live(address))
		}
	}
	// Giving one back makes that endpoint the next.
	releases[b]()
	if p.Live(b) != 99 {
		t.Fatalf("%s has %d connections, want 99", b, p.Live(b))
	}
	if address, _, _ := p.Pick(endpoints); address != b {
		t.Errorf("picked %s, want %s", address, b)
	}
}

func TestPickBreaksTiesByChance(t *testing.T) {
	var p Picker
	seen := map[string]bool{}
	for range 200 { // All the same by chance: 3 in 2^200.
		address, release, err := p.Pick(at(a, b).Endpoints)
		if err != nil {
			t.Fatal(err)
		}
		seen[address] = true
		release()
	}
	if len(seen) != 2 {
		t.Errorf("picked only %v", seen)
	}
	if len(p.live) != 0 {
		t.Errorf("counts are left of what nobody uses: %v", p.live)
	}
}

func TestPickAvoids(t *testing.T) {
	for _, test := range []struct {
		name       string
		have, busy []string
		avoid      []string
		want       string
	}{
		{"the one to avoid, however idle", []string{a, b}, []string{b, b}, []string{a}, b},
		{"all that were tried", []string{a, b, c}, nil, []string{a, c}, b},
		{"at least the last one when all were tried", []string{a, b}, []string{a}, []string{a, b}, a},
		{"the one that failed first when all were tried, however busy", []string{a, b, c}, []string{a, a}, []string{a, b, c}, a},
		{"none where there is no other", []string{a}, nil, []string{a}, a},
		{"nor where all are gone", []string{a}, nil, []string{b, a}, a},
		{"what is not there", []string{a}, nil, []string{"", b}, a},
	} {
		t.Run(test.name, func(t *testing.T) {
			var p Picker
			for _, address := range test.busy {
				p.Take(address)
			}
			for range 20 {
				address, release, err := p.Pick(at(test.have...).Endpoints, test.avoid...)
				if err != nil || address != test.want {
					t.Fatalf("picked %s, %v; want %s", address, err, test.want)
				}
				release()
			}
		})
	}
}

func TestPickLeavesTerminatingEndpointsAlone(t *testing.T) {
	var p Picker
	going := config.Endpoint{Address: netip.MustParseAddrPort(a), Terminating: true}
	endpoints := append(at(b).Endpoints, going)
	for range 20 {
		// Not even to avoid the only other one.
		if address, _, err := p.Pick(endpoints, b); err != nil || address != b {
			t.Fatalf("picked %s, %v; want %s", address, err, b)
		}
	}
	if _, _, err := p.Pick([]config.Endpoint{going}); !errors.Is(err, ErrNoEndpoints) || !Retryable(err) || IsTimeout(err) {
		t.Errorf("all are going: %v, want ErrNoEndpoints, to be retried", err)
	}
}

func TestPickIsFairToConcurrentConnections(t *testing.T) {
	var p Picker
	endpoints := at(a, b).Endpoints
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, _, err := p.Pick(endpoints); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if p.Live(a) != 25 || p.Live(b) != 25 {
		t.Errorf("%d and %d connections, want 25 each", p.Live(a), p.Live(b))
	}
}
