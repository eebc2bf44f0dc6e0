// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/hack/bench/results"
)

// measured is a run of six rounds in which ours takes 1.05 times the floor's CPU,
// whatever the round, and too much memory.
func measured() *results.Set {
	set := &results.Set{
		About: []string{"command: bench"},
		Rows: []results.Row{
			{ID: "roundtrip-100-128", Title: "CPU per round trip", Unit: "µs"},
			{ID: "idle-fresh", Title: "memory <idle>", Unit: "B"},
			{ID: "handshake", Title: "CPU per connection", Unit: "µs"},
		},
		Peers: []string{"floor", "ours"}, Ours: []string{"ours"},
		Failures: []results.Failure{{Case: "handshake", Peer: "ours", Round: 3, Error: "no answer"}},
	}
	for round := range 6 {
		floor := 10 + float64(round)
		set.Samples = append(set.Samples,
			results.Sample{Row: "roundtrip-100-128", Peer: "floor", Round: round, Value: floor, Detail: map[string]float64{"rate": 50000, "clients": 4, "backend": 3}},
			results.Sample{Row: "roundtrip-100-128", Peer: "ours", Round: round, Value: floor * 1.05},
			results.Sample{Row: "idle-fresh", Peer: "ours", Round: round, Value: 9000 + float64(round)},
		)
	}
	// A round with others on the machine would turn the verdict.
	set.Samples = append(set.Samples,
		results.Sample{Row: "roundtrip-100-128", Peer: "floor", Round: 6, Value: 1, Dropped: true},
		results.Sample{Row: "roundtrip-100-128", Peer: "ours", Round: 6, Value: 100})
	return set
}

func TestATargetIsMetWhenTheLowerEndOfTheIntervalIsBelowIt(t *testing.T) {
	verdicts := map[string]Judgement{}
	for _, j := range Judge(measured(), "ours") {
		verdicts[j.Row+" "+j.Against] = j
	}
	for name, want := range map[string]Verdict{
		"roundtrip-100-128 floor": Met, "roundtrip-100-128 haproxy": Unknown, "idle-fresh ": Missed, "handshake nginx": Unknown,
	} {
		if got, found := verdicts[name]; !found || got.Verdict != want {
			t.Errorf("%s: %+v, want %s", name, got, want)
		}
	}
	if len(verdicts) != 4 {
		t.Errorf("%d targets were judged, of which rows were there for 4", len(verdicts))
	}
	if j := verdicts["roundtrip-100-128 floor"]; j.Rounds != 6 || number(j.Value) != "1.05" {
		t.Errorf("%+v", j)
	}
}

func TestAReportSaysEverything(t *testing.T) {
	for name, text := range map[string]string{"text": Text(measured()), "markdown": Markdown(measured(), []string{"idle.svg"})} {
		for _, want := range []string{
			"command: bench", "1.05 … 1.05", "met", "missed", "9,003", "≤ 1.10 × floor", "50,000", "4.00 + 3.00",
			"1 samples dropped", "FAILED: handshake of ours in round 3: no answer",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", name, want, text)
			}
		}
	}
	if !strings.Contains(Markdown(measured(), []string{"idle.svg"}), "![idle](idle.svg)") {
		t.Error("the plot is missing")
	}
}

func TestAPlotIsWellFormed(t *testing.T) {
	set := measured()
	plot := Plot(set, set.Rows)
	for decoder := xml.NewDecoder(strings.NewReader(plot)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, plot)
		}
	}
	if bars := strings.Count(plot, "<rect x="); bars != 3 {
		t.Errorf("%d bars", bars)
	}
	if Plot(set, set.Rows[2:]) != "" {
		t.Error("nothing was drawn")
	}
}

func TestNumbersHaveThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 12345: "12,345", 1234567: "1,234,567", -9876: "-9,876"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
