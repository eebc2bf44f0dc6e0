// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wsproxy/wsproxy/hack/bench/cases"
	"github.com/wsproxy/wsproxy/hack/bench/native"
	"github.com/wsproxy/wsproxy/hack/bench/peers"
	"github.com/wsproxy/wsproxy/hack/bench/results"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustParse(t *testing.T, args ...string) options {
	t.Helper()
	o, err := parse(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAQuickRunIsSmallerAndMayBeChanged(t *testing.T) {
	normal, quick := mustParse(t), mustParse(t, "--window=2s", "--quick", "--rounds=3")
	if normal.Idle != cases.Default().Idle || normal.rounds != 6 || normal.maxForeign != 0.05 {
		t.Errorf("default: %+v", normal)
	}
	if quick.Idle != cases.Quick().Idle || quick.Window != 2*time.Second || quick.rounds != 3 || quick.maxForeign != 1 {
		t.Errorf("quick: %+v", quick)
	}
	if n := mustParse(t, "--quick").rounds; n != 1 {
		t.Errorf("a quick run has %d rounds", n)
	}
}

func TestFlagsThatCannotBeAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"roundtrip"}, {"--rounds=-1"}, {"--idle=9701"}, {"--silent=0"}, {"--window=0s"}, {"--variant=ours"}, {"--variant=Loop=--x"},
	} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v were taken", args)
		}
	}
	if _, err := parse([]string{"--help"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help: %v", err)
	}
}

func TestFiguresAreSelectedByHowTheirNamesBegin(t *testing.T) {
	for figures, want := range map[string][]string{
		"roundtrip-100-128,handshake": {"roundtrip-100-128", "handshake"},
		"roundtrip-1000":              {"roundtrip-1000-128", "roundtrip-1000-16384"},
		"flood-down":                  {"flood-down-65536", "flood-down-64"},
		"silent":                      {"silent"},
	} {
		chosen, err := mustParse(t, "--quick", "--figures="+figures).selectCases()
		var names []string
		for _, c := range chosen {
			names = append(names, c.Name)
		}
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("%s: %v, %v, want %v", figures, names, err, want)
		}
	}
	if _, err := mustParse(t, "--figures=rountrip").selectCases(); err == nil {
		t.Error("a figure that does not exist was selected")
	}
	quick, err := mustParse(t, "--quick").selectCases()
	if err != nil || slices.ContainsFunc(quick, func(c *cases.Case) bool { return c.Slow }) {
		t.Errorf("a quick run is slow: %v", err)
	}
}

func TestPeersThatAreNotThereAreLeftOut(t *testing.T) {
	programs := peers.Programs{Relay: "/nonexistent/relay", Dataplane: "/bin/sh", ReverseProxy: "/bin/sh", Pump: "/bin/sh"}
	var missing []string
	chosen, err := mustParse(t, "--peers=floor,ours,direct").selectPeers(peers.All(programs, nil), func(p *peers.Peer, _ error) { missing = append(missing, p.Name) })
	var names []string
	for _, p := range chosen {
		names = append(names, p.Name)
	}
	if err != nil || !slices.Equal(names, []string{"ours", "ours-tls", "ours-kept", "direct"}) || !slices.Equal(missing, []string{"floor"}) {
		t.Errorf("chosen %v, missing %v, %v", names, missing, err)
	}
	o := mustParse(t, "--peers=direct", "--variant=loop=--loop")
	if chosen, err := o.selectPeers(peers.All(programs, o.variants), nil); err != nil || len(chosen) != 4 || chosen[0].Name != "loop" {
		t.Errorf("a variant beside direct: %d peers, %v", len(chosen), err)
	}
	if _, err := mustParse(t, "--peers=envoy").selectPeers(peers.All(programs, nil), nil); err == nil {
		t.Error("a peer that does not exist was selected")
	}
}

func TestNobodyAlwaysFollowsTheSamePeer(t *testing.T) {
	var all []*peers.Peer
	for _, name := range []string{"a", "b", "c", "d"} {
		all = append(all, &peers.Peer{Name: name})
	}
	before := map[string]map[string]bool{}
	for round := range 6 {
		turned := order(all, round)
		for _, p := range all {
			if !slices.Contains(turned, p) {
				t.Errorf("round %d lacks %s", round, p.Name)
			}
		}
		for i := 1; i < len(turned); i++ {
			name := turned[i].Name
			if before[name] == nil {
				before[name] = map[string]bool{}
			}
			before[name][turned[i-1].Name] = true
		}
	}
	for name, others := range before {
		if len(others) < 2 {
			t.Errorf("%s only ever follows %v", name, others)
		}
	}
}

// lines calls a function for everything that is written.
type lines func(string)

func (l lines) Write(text []byte) (int, error) {
	l(string(text))
	return len(text), nil
}

func TestARunReportsWhatItHasMeasured(t *testing.T) {
	if _, err := native.Compiler(); err != nil {
		t.Skip(err)
	}
	args := func(out string) []string {
		return []string{"--quick", "--figures=handshake,roundtrip-100-128", "--peers=floor", "--rounds=2", "--window=50ms", "--out=" + out}
	}
	read := func(out string) *results.Set {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(out, "results.json"))
		if err != nil {
			t.Fatal(err)
		}
		set := &results.Set{}
		if err := json.Unmarshal(content, set); err != nil {
			t.Fatal(err)
		}
		return set
	}
	var stdout strings.Builder
	whole := t.TempDir()
	if err := run(t.Context(), args(whole), &stdout, io.Discard); err != nil {
		t.Fatal(err)
	}
	if n := len(read(whole).Samples); n != 4 {
		t.Errorf("two rounds of two figures gave %d samples", n)
	}
	markdown, err := os.ReadFile(filepath.Join(whole, "report.md"))
	if err != nil || !strings.Contains(string(markdown), "](handshake.svg)") || !strings.Contains(stdout.String(), "MEDIANS") {
		t.Errorf("%v\n%s\n%s", err, markdown, stdout.String())
	}
	if plots, err := filepath.Glob(filepath.Join(whole, "*.svg")); err != nil || len(plots) != 2 {
		t.Errorf("plots %v, %v", plots, err)
	}

	// Ctrl-C after the first measurement.
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	part := t.TempDir()
	err = run(ctx, args(part), io.Discard, lines(func(line string) {
		if strings.Contains(line, "round 1/2") {
			interrupt()
		}
	}))
	if n := len(read(part).Samples); !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("interrupted with %d samples: %v", n, err)
	}
}

func TestAMeasurementThatIsDisturbedDoesNotCount(t *testing.T) {
	r := &runner{options: options{maxForeign: 0.05}, set: &results.Set{}}
	quiet, loud := []results.Sample{{Row: "a", Foreign: 0.05}}, []results.Sample{{Row: "a", Foreign: 0.04}, {Row: "b", Foreign: 0.06}}
	if r.disturbed(quiet) || !r.disturbed(loud) {
		t.Error("what is too much is judged wrong")
	}
	c, p := &cases.Case{Name: "x"}, &peers.Peer{Name: "y"}
	r.keep(0, c, p, loud, nil)
	r.keep(1, c, p, nil, errors.New("no answer"))
	if len(r.set.Samples) != 2 || r.set.Samples[0].Dropped || !r.set.Samples[1].Dropped || r.set.Samples[1].Round != 1 {
		t.Errorf("samples %+v", r.set.Samples)
	}
	if want := []results.Failure{{Case: "x", Peer: "y", Round: 2, Error: "no answer"}}; !slices.Equal(r.set.Failures, want) {
		t.Errorf("failures %+v", r.set.Failures)
	}
}
