// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"

	"github.com/wsproxy/wsproxy/hack/bench/results"
	"github.com/wsproxy/wsproxy/hack/bench/stats"
)

// Target is what ours is to cost at most.
type Target struct {
	Row string
	// Against is the peer that it is a ratio to; empty: Limit is in the unit of the
	// row.
	Against string
	Limit   float64
}

// Targets of the data plane.
var Targets = []Target{
	{Row: "roundtrip-100-128", Against: "floor", Limit: 1.10},
	{Row: "roundtrip-100-128", Against: "haproxy", Limit: 0.80},
	{Row: "roundtrip-1000-128", Against: "floor", Limit: 1.10},
	{Row: "roundtrip-100-16384", Against: "floor", Limit: 1.10},
	{Row: "roundtrip-1000-16384", Against: "floor", Limit: 1.10},
	{Row: "flood-down-65536", Against: "reverseproxy", Limit: 1.05},
	{Row: "flood-up-65536", Against: "reverseproxy", Limit: 1.05},
	{Row: "flood-down-64", Against: "floor", Limit: 1.15},
	{Row: "flood-up-64", Against: "floor", Limit: 1.15},
	{Row: "handshake", Against: "nginx", Limit: 1.30},
	{Row: "idle-fresh", Limit: 1200},
	{Row: "idle-used", Limit: 1200},
	{Row: "idle-burst", Limit: 1200},
	{Row: "idle-closed", Limit: 1.20},
	{Row: "stalled", Limit: 16384},
	{Row: "silent", Limit: 1},
}

// Verdict of a target.
type Verdict string

// The verdicts.
const (
	// Met: the lower end of the interval is at or below the limit.
	Met Verdict = "met"
	// Missed: it is above it.
	Missed Verdict = "missed"
	// Unknown: nothing was measured.
	Unknown Verdict = "not measured"
)

// Judgement is a target with what was found.
type Judgement struct {
	Target
	Peer string
	// Value is the median ratio, or the median.
	Value float64
	stats.Interval
	// Rounds is how many samples or pairs it is made of.
	Rounds  int
	Verdict Verdict
}

// Judge compares a peer with the targets of a run's rows.
func Judge(set *results.Set, peer string) []Judgement {
	rows := map[string]bool{}
	for _, row := range set.Rows {
		rows[row.ID] = true
	}
	var judgements []Judgement
	for _, target := range Targets {
		if rows[target.Row] {
			judgements = append(judgements, judge(set, peer, target))
		}
	}
	return judgements
}

func judge(set *results.Set, peer string, target Target) Judgement {
	j := Judgement{Target: target, Peer: peer, Verdict: Unknown}
	if target.Against == "" {
		values := set.Values(target.Row, peer)
		j.Value, j.Interval, j.Rounds = stats.Median(values), stats.IntervalOf(values), len(values)
	} else {
		ratios := set.Ratios(target.Row, peer, target.Against)
		j.Value, j.Interval, j.Rounds = ratios.Median, ratios.Interval, ratios.Pairs
	}
	switch {
	case math.IsNaN(j.Low):
	case j.Low <= target.Limit:
		j.Verdict = Met
	default:
		j.Verdict = Missed
	}
	return j
}
