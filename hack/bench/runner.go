// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/wsproxy/wsproxy/hack/bench/cases"
	"github.com/wsproxy/wsproxy/hack/bench/peers"
	"github.com/wsproxy/wsproxy/hack/bench/results"
)

// runner measures all cases with all peers, round by round.
type runner struct {
	options
	bench    *cases.Bench
	cases    []*cases.Case
	peers    []*peers.Peer
	set      *results.Set
	progress io.Writer
}

// run measures until everything is done or ctx ends. Within a round the peers of
// a case follow each other at once: what disturbs one disturbs the next, and the
// ratio of the two loses it.
func (r *runner) run(ctx context.Context) {
	began := time.Now()
	for round := range r.rounds {
		for _, c := range r.cases {
			if c.Rounds > 0 && round >= c.Rounds {
				continue
			}
			for _, p := range order(r.peers, round) {
				if !c.Applies(p) {
					continue
				}
				samples, err := r.measure(ctx, c, p)
				if ctx.Err() != nil {
					fmt.Fprintln(r.progress, "interrupted")
					return
				}
				r.keep(round, c, p, samples, err)
				fmt.Fprintf(r.progress, "%5.0fs  round %d/%d  %-20s %-14s %s\n", time.Since(began).Seconds(), round+1, r.rounds, c.Name, p.Name, summary(samples, err))
			}
		}
	}
}

// order returns the peers in another order each round, so that none always
// follows the same one.
func order(all []*peers.Peer, round int) []*peers.Peer {
	n := len(all)
	turned := make([]*peers.Peer, 0, n)
	for i := range n {
		at := (i + round) % n
		if round%2 == 1 {
			at = n - 1 - at
		}
		turned = append(turned, all[at])
	}
	return turned
}

// measure repeats a measurement while others use the machine.
func (r *runner) measure(ctx context.Context, c *cases.Case, p *peers.Peer) ([]results.Sample, error) {
	for try := 0; ; try++ {
		samples, err := r.bench.Measure(ctx, c, p)
		if err != nil || try == r.retries || !r.disturbed(samples) {
			return samples, err
		}
	}
}

func (r *runner) disturbed(samples []results.Sample) bool {
	for _, sample := range samples {
		if sample.Foreign > r.maxForeign {
			return true
		}
	}
	return false
}

func (r *runner) keep(round int, c *cases.Case, p *peers.Peer, samples []results.Sample, err error) {
	if err != nil {
		r.set.Failures = append(r.set.Failures, results.Failure{Case: c.Name, Peer: p.Name, Round: round + 1, Error: err.Error()})
		return
	}
	for i := range samples {
		samples[i].Round = round + 1
		samples[i].Dropped = samples[i].Foreign > r.maxForeign
	}
	r.set.Samples = append(r.set.Samples, samples...)
}

// summary is a line about what was measured.
func summary(samples []results.Sample, err error) string {
	if err != nil {
		return "FAILED: " + err.Error()
	}
	var words []string
	dropped := ""
	for _, sample := range samples {
		words = append(words, fmt.Sprintf("%.4g", sample.Value))
		if sample.Dropped {
			dropped = fmt.Sprintf("  (dropped: others used %.0f %% of the machine)", 100*sample.Foreign)
		}
	}
	return strings.Join(words, "  ") + dropped
}
