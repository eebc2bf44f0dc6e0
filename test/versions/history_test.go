// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package versions

import (
	"flag"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	histories = flag.Int("histories", 300, "how many random histories")
	seed      = flag.Uint64("seed", 1, "the first one")
	first     = flag.Bool("first", false, "stop at the first that is wrong")
)

// history is one of them. It returns what is wrong with what the client sees, and how
// often what happened.
func history(seed uint64, active, quiet int) (wrong string, told map[string]int) {
	w := &world{random: rand.New(rand.NewPCG(seed, 7)), told: map[string]int{}, origins: map[string]*origin{}}
	w.choose()
	for range 2 {
		w.birth()
	}
	for i := range w.replicas {
		w.replicas[i] = newReplica(w, i)
	}
	w.client = &client{world: w, view: map[string]seen{}}
	defer w.client.cut()
	for i := range active + quiet {
		if w.step(i >= active); w.client.wrong != "" {
			break
		}
	}
	if w.client.wrong != "" {
		return w.client.wrong, w.told
	}
	if !w.client.known {
		return "it has not come to see anything", w.told
	}
	truth := w.truth()
	for name, want := range truth {
		if got, ok := w.client.view[name]; !ok {
			return "missing " + name, w.told
		} else if got != want {
			return "wrong " + name, w.told
		}
	}
	for name := range w.client.view {
		if _, ok := truth[name]; !ok {
			return "stale " + name, w.told
		}
	}
	return "", w.told
}

func TestAClientSeesWhatIs(t *testing.T) {
	total := map[string]int{}
	bad := 0
	fail := t.Errorf
	for i := range uint64(*histories) {
		if *first && bad > 0 {
			break
		}
		synctest.Test(t, func(*testing.T) {
			wrong, told := history(*seed+i, 1000, 1000)
			if wrong != "" {
				if bad++; bad <= 10 {
					fail("seed %d: %s: %v", *seed+i, wrong, told)
				}
			}
			for what, n := range told {
				total[what] += n
			}
			time.Sleep(time.Hour) // The registries' timers end.
		})
	}
	t.Logf("%d histories, %d wrong: %v", *histories, bad, total)
}
