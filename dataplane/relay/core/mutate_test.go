// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build mutate

package core

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// mutation is a fault that is put into the core, to see that the simulator finds
// it and blames the promise that it breaks.
type mutation struct {
	name   string
	breaks invariant
	file   string
	// edits are pairs of what is in the file, once, and what is put there instead.
	edits []string
}

// mutationRuns is how many schedules there are to find a mutation in. Nearly all
// are found in a few hundred; the rest is a reserve, because every change of the
// simulator makes other schedules of the same seeds.
const mutationRuns = 5 * simRuns

// TestMutations puts each mutation into a copy of the core, builds the simulator
// with it (go help build, -overlay) and lets it hunt for the promise that is
// broken. It fails where one survives, breaks only other promises, does not build
// or does not fit the core any more; and where a promise has no mutation.
//
//	make mutate
//	make mutate RUN=jitter
func TestMutations(t *testing.T) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PROMISE\tMUTATION\tSCHEDULES\tALSO BROKEN BEFORE")
	for _, m := range slices.SortedStableFunc(slices.Values(mutations), func(a, b mutation) int { return cmp.Compare(a.breaks, b.breaks) }) {
		t.Run(m.name, func(t *testing.T) {
			schedules, others := m.hunt(t)
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", m.breaks, m.name, schedules, others)
		})
	}
	table.Flush()
}

func TestEveryPromiseHasAMutation(t *testing.T) {
	for _, promise := range invariants {
		if !slices.ContainsFunc(mutations, func(m mutation) bool { return m.breaks == promise }) {
			t.Errorf("no mutation breaks %s", promise)
		}
	}
	names := map[string]bool{}
	for _, m := range mutations {
		if names[m.name] {
			t.Errorf("two mutations are called %q", m.name)
		}
		names[m.name] = true
	}
}

var huntResult = regexp.MustCompile(`(?m)^(CAUGHT|SURVIVED) (?:seed=\d+ )?schedules=(\d+) others=(.*)$`)

// hunt returns in how many schedules the mutation was found, and which other
// promises broke in those before.
func (m mutation) hunt(t *testing.T) (schedules, others string) {
	dir := t.TempDir()
	source, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	mutated := string(source)
	for pair := range slices.Chunk(m.edits, 2) {
		if n := strings.Count(mutated, pair[0]); n != 1 {
			t.Fatalf("it does not apply any more: %d times in %s: %s", n, m.file, pair[0])
		}
		mutated = strings.Replace(mutated, pair[0], pair[1], 1)
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	copied, overlay, binary := filepath.Join(dir, m.file), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "core.test")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: copied}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{copied: []byte(mutated), overlay: replace} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-ldflags=-s -w", "-overlay", overlay, "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("it does not build: %v\n%s", err, out)
	}
	hunt := exec.CommandContext(t.Context(), binary, "-test.run", "^TestHunt$", "-test.timeout", "3m")
	hunt.Env = append(os.Environ(), "SIM_HUNT="+string(m.breaks), fmt.Sprint("SIM_RUNS=", mutationRuns))
	out, err := hunt.CombinedOutput()
	if err != nil {
		t.Fatalf("the hunt failed: %v\n%s", err, out[:min(len(out), 4000)])
	}
	found := huntResult.FindStringSubmatch(string(out))
	switch {
	case found == nil:
		t.Fatalf("the hunt said nothing:\n%s", out)
	case found[1] == "SURVIVED" && found[3] == "":
		t.Errorf("it survived %s schedules", found[2])
	case found[1] == "SURVIVED":
		t.Errorf("in %s schedules it broke only %s, and not %s", found[2], found[3], m.breaks)
	}
	return found[2], found[3]
}
