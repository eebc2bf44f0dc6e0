// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package heap

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// process is a heap that makes as much garbage as a test wants.
type process struct {
	mu sync.Mutex
	// The fields below are guarded by mu.
	usage usage
	at    []time.Time // when it was collected
	looks int
}

func (p *process) keeper() *Keeper {
	return &Keeper{
		read: func() usage {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.looks++
			return p.usage
		},
		collect: func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.usage.since, p.usage.free = 0, 0
			p.at = append(p.at, time.Now())
		},
	}
}

// litter makes so much garbage.
func (p *process) litter(bytes uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.usage.since += bytes
}

// after returns what was done once so much time has passed.
func (p *process) after(d time.Duration) (collected []time.Time, looks int) {
	time.Sleep(d)
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at, p.looks
}

func TestGarbageIsCollectedSoonAfterSomethingHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &process{usage: usage{live: 10 << 20, since: 5 << 20}}
		p.keeper().Note()
		if collected, _ := p.after(interval); len(collected) != 1 {
			t.Fatalf("collected %d times", len(collected))
		}
	})
}

func TestWhatIsFreeCountsAsWellAsGarbage(t *testing.T) {
	for name, test := range map[string]struct {
		usage usage
		want  bool
	}{
		"garbage":                     {usage{live: 80 << 20, since: 11 << 20}, true},
		"free":                        {usage{live: 80 << 20, free: 11 << 20}, true},
		"both":                        {usage{live: 80 << 20, since: 6 << 20, free: 6 << 20}, true},
		"little beside what is live":  {usage{live: 80 << 20, since: 9 << 20}, false},
		"little":                      {usage{since: 1 << 19, free: 1 << 18}, false},
		"more than nothing is little": {usage{live: 4 << 20, since: 1 << 20}, false},
	} {
		if got := worthIt(test.usage); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestABurstIsNotInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &process{}
		p.litter(50 << 20)
		k := p.keeper()
		for range 8 {
			for range many + 1 {
				k.Note()
			}
			if collected, _ := p.after(interval); len(collected) > 0 {
				t.Fatal("collected during the burst")
			}
		}
		if collected, _ := p.after(2 * interval); len(collected) != 1 {
			t.Fatalf("collected %d times after the burst", len(collected))
		}
	})
}

func TestCollectingTakesAShareOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &process{usage: usage{live: 10 << 20}}
		k := p.keeper()
		var collected []time.Time
		for range 1000 {
			p.litter(50 << 20)
			k.Note()
			collected, _ = p.after(interval / 2)
		}
		if n := len(collected); n < 80 || n > 125 {
			t.Errorf("collected %d times in 125 s", n)
		}
		for i := range collected[1:] {
			if pause := collected[i+1].Sub(collected[i]); pause < 10*rest {
				t.Errorf("again after %v", pause)
			}
		}
	})
}

func TestNothingIsDoneWhileNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &process{}
		k := p.keeper()
		before := 0
		for range 3 {
			k.Note()
			_, looks := p.after(2 * patience)
			if looks == before {
				t.Fatal("did not look")
			}
			if _, before = p.after(time.Hour); before != looks {
				t.Fatal("looked without a reason")
			}
		}
	})
}

func TestWhatHasToWaitIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &process{usage: usage{live: 10 << 30}} // a thousand seconds
		k := p.keeper()
		p.litter(5 << 30)
		k.Note()
		p.after(interval)
		p.litter(5 << 30)
		k.Note()
		if collected, _ := p.after(10<<10*rest - interval); len(collected) != 1 {
			t.Fatalf("collected %d times", len(collected))
		}
		if collected, _ := p.after(2 * seldom); len(collected) != 2 {
			t.Errorf("collected %d times", len(collected))
		}
	})
}

func TestWhatBecameGarbageUnseenIsCollectedInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &process{usage: usage{live: 10 << 20}}
		p.keeper().Note()
		if collected, _ := p.after(patience - later); len(collected) != 0 {
			t.Fatalf("collected %d times without a reason", len(collected))
		}
		p.after(2 * later)
		if collected, _ := p.after(time.Hour); len(collected) != 1 {
			t.Errorf("collected %d times", len(collected))
		}
	})
}

func TestASlowTrickleOfGarbageIsCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &process{usage: usage{live: 16 << 20}}
		p.keeper().Note()
		var collected []time.Time
		for range 100 { // 16 seconds each for what is worth it
			p.litter(1 << 20)
			collected, _ = p.after(8 * time.Second)
		}
		if n := len(collected); n < 30 || n > 50 {
			t.Errorf("collected %d times", n)
		}
	})
}

// sink keeps the compiler from leaving out what is allocated.
var sink []byte

func TestAProcessGivesMemoryBack(t *testing.T) {
	released := func() uint64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/released:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC() // so that none comes by itself before there is as much again
	const garbage = 64 << 20
	for range garbage >> 20 {
		sink = make([]byte, 1<<20)
	}
	sink = nil
	before := released()
	NewKeeper().Note()
	deadline := time.Now().Add(time.Minute)
	for released() < before+garbage/16 {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes were given back before, and %d after a minute", before, released())
		}
		time.Sleep(interval)
	}
}
