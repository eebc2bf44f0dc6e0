// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package results

import (
	"slices"

	"github.com/wsproxy/wsproxy/hack/bench/stats"
)

// Row is one figure: less of it is better.
type Row struct {
	// ID names it in targets and files.
	ID string `json:"id"`
	// Title is what a reader sees, without the unit.
	Title string `json:"title"`
	Unit  string `json:"unit"`
}

// Sample is one measured value.
type Sample struct {
	Row   string  `json:"row"`
	Peer  string  `json:"peer"`
	Round int     `json:"round"`
	Value float64 `json:"value"`
	// Foreign is the share of the machine that others used meanwhile, from 0 to 1.
	Foreign float64 `json:"foreign"`
	// Dropped says that this was too much: the value counts for nothing.
	Dropped bool `json:"dropped,omitempty"`
	// Detail is what belongs to it and is no row of its own: "rate" is work per
	// second, "clients" and "backend" is what these took, in the unit of the row.
	Detail map[string]float64 `json:"detail,omitempty"`
}

// Failure is a measurement that did not come about.
type Failure struct {
	Case  string `json:"case"`
	Peer  string `json:"peer"`
	Round int    `json:"round"`
	Error string `json:"error"`
}

// Set is everything that was measured in a run.
type Set struct {
	// About is what a reader must know of the run, in lines "name: value".
	About []string `json:"about"`
	Rows  []Row    `json:"rows"`
	// Peers are their names in the order of the tables, Titles says more of each.
	Peers    []string          `json:"peers"`
	Titles   map[string]string `json:"titles"`
	Ours     []string          `json:"ours"`
	Samples  []Sample          `json:"samples"`
	Failures []Failure         `json:"failures,omitempty"`
}

// byRound returns the samples that count, by round.
func (s *Set) byRound(row, peer string) map[int]Sample {
	found := map[int]Sample{}
	for _, sample := range s.Samples {
		if sample.Row == row && sample.Peer == peer && !sample.Dropped {
			found[sample.Round] = sample
		}
	}
	return found
}

// Values returns the values that count, in the order of the rounds.
func (s *Set) Values(row, peer string) []float64 {
	var values []float64
	for _, sample := range s.Samples {
		if sample.Row == row && sample.Peer == peer && !sample.Dropped {
			values = append(values, sample.Value)
		}
	}
	return values
}

// Detail returns the values of a detail that count.
func (s *Set) Detail(row, peer, name string) []float64 {
	var values []float64
	for _, sample := range s.Samples {
		if value, found := sample.Detail[name]; found && sample.Row == row && sample.Peer == peer && !sample.Dropped {
			values = append(values, value)
		}
	}
	return values
}

// Ratios compares a peer with another one by the rounds in which both have a
// sample that counts.
func (s *Set) Ratios(row, peer, against string) stats.Ratios {
	ours, theirs := s.byRound(row, peer), s.byRound(row, against)
	var pairs [][2]float64
	for round, sample := range ours {
		if other, found := theirs[round]; found {
			pairs = append(pairs, [2]float64{sample.Value, other.Value})
		}
	}
	return stats.Paired(pairs)
}

// Dropped returns how many samples of a row were dropped.
func (s *Set) Dropped(row string) int {
	n := 0
	for _, sample := range s.Samples {
		if sample.Row == row && sample.Dropped {
			n++
		}
	}
	return n
}

// PeersOf returns the peers that have a sample in one of the rows, in the order
// of the tables.
func (s *Set) PeersOf(rows ...Row) []string {
	var found []string
	for _, peer := range s.Peers {
		if slices.ContainsFunc(rows, func(row Row) bool { return len(s.Values(row.ID, peer)) > 0 }) {
			found = append(found, peer)
		}
	}
	return found
}
