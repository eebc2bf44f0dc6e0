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
	histories = flag.Int("histories", 100, "how many random histories")
	seed      = flag.Uint64("seed", 1, "the first one")
	first     = flag.Bool("first", false, "stop at the first that is wrong")
)

func newWorld(seed uint64) *world {
	w := &world{random: rand.New(rand.NewPCG(seed, 7)), told: map[string]int{}, origins: map[string]*origin{}}
	w.choose()
	for range 2 {
		w.birth()
	}
	for i := range w.replicas {
		w.replicas[i] = newReplica(w, i)
	}
	w.client = &client{world: w, view: map[string]seen{}}
	return w
}

// history is one of them. It returns what is wrong with what the client sees, and how
// often what happened.
func history(seed uint64, active, quiet int) (wrong string, told map[string]int) {
	w := newWorld(seed)
	defer w.client.cut()
	for i := range active + quiet {
		if w.step(i >= active); w.client.wrong != "" {
			break
		}
	}
	return w.differs(), w.told
}

// differs returns what is wrong with what the client sees, when all is quiet.
func (w *world) differs() string {
	if w.client.wrong != "" {
		return w.client.wrong
	}
	if !w.client.known {
		return "it has not come to see anything"
	}
	truth := w.truth()
	for name, want := range truth {
		if got, ok := w.client.view[name]; !ok {
			return "missing " + name
		} else if got != want {
			return "wrong " + name
		}
	}
	for name := range w.client.view {
		if _, ok := truth[name]; !ok {
			return "stale " + name
		}
	}
	return ""
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

// A replica learns nothing of the pods any more, and a pod starts. Who has watched
// there goes on at another replica when that pod is not young any more.
func TestAClientOfAReplicaThatIsCutOff(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(seed)
			w.kinds, w.cuts = [len(w.kinds)]bool{}, 1<<30 // No trouble.
			w.client.begin(w.replicas[0])
			for w.client.syncing && w.client.wrong == "" {
				w.step(true)
			}
			w.replicas[0].cutOff(2 * time.Minute)
			w.birth()
			for range 450 {
				w.step(false)
			}
			w.client.cut()
			for range 300 {
				w.step(true)
			}
			if wrong := w.differs(); wrong != "" {
				t.Errorf("seed %d: %s: %v", seed, wrong, w.told)
			}
			w.client.cut()
			time.Sleep(time.Hour) // The registries' timers end.
		})
	}
}
