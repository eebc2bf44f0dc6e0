// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// The simulator drives a Conn as a driver does, with peers and kernels that are
// simulated, through a schedule that a seed determines. It checks what the relay
// promises after every step and at the end.
//
//	sim_invariants_test.go  the promises
//	sim_schedule_test.go    what may happen, and how it is chosen
//	sim_driver_test.go      the driver, its sockets and its timer
//	sim_say_test.go         what a peer says
//	sim_hear_test.go        what a peer hears
//	sim_send_test.go        what is sent to the client beside the upstream's
//	sim_model_test.go       what the simulator knows on its own of silence and of outages
//	sim_check_test.go       what holds after every step
//	sim_end_test.go         what holds when all is said
//	sim_codes_test.go       which close frame each side got
//	mutations_test.go       faults in the core that it has to find
//
// A seed makes the same schedule on every machine:
//
//	SIM_RUNS=1000000 go test -run Simulation ./dataplane/relay/core
//	SIM_SEED=1234 go test -run Simulation ./dataplane/relay/core
const (
	simRuns  = 20_000
	simSteps = 500
	simChunk = 256 // the driver's read buffer
)

func TestSimulation(t *testing.T) {
	first, runs := uint64(1), simRuns
	if s := os.Getenv("SIM_RUNS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("SIM_RUNS: %v", err)
		}
		runs = n
	}
	if s := os.Getenv("SIM_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("SIM_SEED: %v", err)
		}
		first, runs = n, 1
	}
	sum := simulate(first, runs, func(f simFailure) bool { return len(f.broken) > 0 })
	if sum.failure != nil {
		f := replayed(sum.failure.seed)
		t.Fatalf("SIM_SEED=%d (%s): %s\nthe last steps:\n  %s", f.seed, f.kind, strings.Join(f.faults, "\n"),
			strings.Join(f.events[max(0, len(f.events)-80):], "\n  "))
	}
	t.Logf("%d schedules from seed %d: %d reconnects, %d messages possibly lost, %d replayed, %d legs silent, %d messages sent, %d withdrawn, %d dropped, %d in doubt, ends %v",
		runs, first, sum.reconnects, sum.lost, sum.replayed, sum.silent, sum.fates[simWritten], sum.fates[simWithdrawn], sum.fates[simDropped], sum.fates[simInDoubt], sum.ends)
	// A simulator that never gets anywhere would find nothing: every cause there is
	// has to come up.
	if runs >= 1000 && (sum.reconnects < runs/4 || sum.lost == 0 || sum.replayed == 0 || sum.silent == 0 || len(sum.ends) < 12 || slices.Contains(sum.fates[simWithdrawn:], 0)) {
		t.Errorf("the schedules reach too little")
	}
}

// simFailure is a schedule that broke promises.
type simFailure struct {
	seed   uint64
	kind   string
	broken []invariant
	faults []string
	events []string
}

// simSum is what many schedules came to.
type simSum struct {
	failure                            *simFailure // of the lowest seed that was tried
	ends                               map[Cause]int
	reconnects, replayed, silent, runs int
	lost                               uint64
	fates                              [simInDoubt + 1]int // of messages to the client
}

func (sum *simSum) add(s *sim) {
	sum.runs++
	sum.ends[s.conn.End().Cause]++
	sum.reconnects += s.conn.Reconnects()
	sum.lost += s.conn.PossiblyLost()
	sum.replayed += s.replayed
	sum.silent += s.silentLosses
	for fate, n := range s.fates {
		sum.fates[fate] += n
	}
}

// simulate runs schedules on all processors until one is what is looked for.
func simulate(first uint64, runs int, found func(simFailure) bool) simSum {
	var (
		next  = first
		mu    sync.Mutex
		total = simSum{ends: map[Cause]int{}}
		stop  atomic.Bool
		all   sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for !stop.Load() {
				mu.Lock()
				seed := next
				next++
				mu.Unlock()
				if seed >= first+uint64(runs) {
					return
				}
				s := newSim(seed, false)
				s.run()
				failure := s.failure()
				mu.Lock()
				total.add(s)
				if found(failure) && (total.failure == nil || seed < total.failure.seed) {
					total.failure = &failure
					stop.Store(true)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return total
}

// replayed runs a schedule again, and keeps its events.
func replayed(seed uint64) simFailure {
	s := newSim(seed, true)
	s.run()
	return s.failure()
}

func (s *sim) failure() simFailure {
	return simFailure{seed: s.seed, kind: s.kind(), broken: s.broken, faults: s.faults, events: s.events}
}

// TestASeedReproducesExactly compares two runs of the same schedule, event by
// event.
func TestASeedReproducesExactly(t *testing.T) {
	events := 0
	for seed := range uint64(20) {
		a, b := replayed(seed), replayed(seed)
		if !slices.Equal(a.events, b.events) {
			t.Errorf("seed %d: %d and %d events", seed, len(a.events), len(b.events))
		}
		events += len(a.events)
	}
	if events < 20*simSteps/10 {
		t.Errorf("only %d events were compared", events)
	}
}

// TestHunt looks for a schedule that breaks one promise. It is for mutations: it
// prints CAUGHT and the number of schedules it took, and the promises that broke
// with it.
func TestHunt(t *testing.T) {
	wanted := invariant(os.Getenv("SIM_HUNT"))
	if wanted == "" {
		t.Skip("SIM_HUNT names no promise")
	}
	runs, err := strconv.Atoi(os.Getenv("SIM_RUNS"))
	if err != nil {
		t.Fatalf("SIM_RUNS: %v", err)
	}
	others := map[invariant]bool{}
	sum := simulate(1, runs, func(f simFailure) bool {
		for _, broken := range f.broken {
			others[broken] = true
		}
		return slices.Contains(f.broken, wanted)
	})
	delete(others, wanted)
	var names []string
	for other := range others {
		names = append(names, string(other))
	}
	slices.Sort(names)
	if sum.failure != nil {
		fmt.Printf("CAUGHT seed=%d schedules=%d others=%s\n", sum.failure.seed, sum.runs, strings.Join(names, ","))
	} else {
		fmt.Printf("SURVIVED schedules=%d others=%s\n", sum.runs, strings.Join(names, ","))
	}
}
