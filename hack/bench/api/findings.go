// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wsproxy/wsproxy/hack/bench/stats"
)

// findings are what was measured.
type findings struct {
	options
	points []point
	memory []memory
	bulks  []bulk
	// later is the memory of the apiserver (PSS, bytes) some time after all of these.
	later int64
	ends  []ends
}

// add takes what was measured of many; want is how many there are, 0 where that is not
// known.
func (f *findings) add(b bulk, want int, err error) error {
	if b.failure == "" && want > 0 && b.connections != want {
		b.failure = fmt.Sprintf("there are %d connections", want)
	}
	f.bulks = append(f.bulks, b)
	return err
}

// questions are those that each size was asked, in the order of the tables.
var questions = []struct {
	what string
	of   func(*point) *samples
}{
	{"get by name", func(p *point) *samples { return &p.get }},
	{"disconnect by name", func(p *point) *samples { return &p.disconnect }},
	{"first page of 500", func(p *point) *samples { return &p.first }},
	{"next page of 500", func(p *point) *samples { return &p.next }},
}

// joined is what the points of a size and a way have together: all samples, and the
// mean of the CPU times.
func (f *findings) joined(connections int, way string, of func(*point) *samples) (all samples) {
	n := 0
	for i := range f.points {
		if p := &f.points[i]; p.connections == connections && p.way == way {
			s := of(p)
			all.seconds, all.cpu = append(all.seconds, s.seconds...), all.cpu+s.cpu
			n++
		}
	}
	all.cpu /= float64(n)
	return all
}

func (f *findings) ways() (ways []string) {
	for _, p := range f.points {
		if !slices.Contains(ways, p.way) {
			ways = append(ways, p.way)
		}
	}
	return ways
}

// String is the tables.
func (f *findings) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d pods of %d proxies; each size twice, with %d calls for each way\n", f.pods, f.proxies, f.calls)
	for _, way := range f.ways() {
		fmt.Fprintf(&out, "\n%-26s", way)
		for _, n := range f.sizes {
			fmt.Fprintf(&out, "%14d", n)
		}
		fmt.Fprintf(&out, "%14s\n", "last / first")
		for _, q := range questions {
			f.row(&out, q.what+", ms", func(n int) float64 { return 1000 * stats.Median(f.joined(n, way, q.of).seconds) })
			f.row(&out, "  99 %, ms", func(n int) float64 { return 1000 * quantile(f.joined(n, way, q.of).seconds, 0.99) })
			f.row(&out, "  CPU of apiserver, ms", func(n int) float64 { return 1000 * f.joined(n, way, q.of).cpu })
		}
	}
	fmt.Fprintf(&out, "\n%-26s\n", "apiserver, MiB")
	for _, m := range f.memory {
		fmt.Fprintf(&out, "  with %9d connections%8.1f PSS%8.1f peak\n", m.connections, mebibytes(m.pss), mebibytes(m.peak))
	}
	fmt.Fprintf(&out, "\n%-46s %-24s %11s %8s %8s %8s %8s\n", "of many", "", "connections", "s", "CPU s", "MB", "peak MiB")
	for _, b := range f.bulks {
		fmt.Fprintf(&out, "%-46s %-24s %11d %8.2f %8.2f %8.1f %8.1f\n", b.what, b.way, b.connections, b.seconds, b.cpu, float64(b.bytes)/1e6, mebibytes(b.peak))
		if b.partial != "" {
			fmt.Fprintf(&out, "  not all: %s\n", b.partial)
		}
		if b.failure != "" {
			fmt.Fprintf(&out, "  failed: %s\n", b.failure)
		}
	}
	fmt.Fprintf(&out, "%v later the apiserver has %.1f MiB (PSS)\n", respite, mebibytes(f.later))
	fmt.Fprintf(&out, "\n%-26s %8s %8s %8s\n", "end to end, ms", "median", "99 %", "longest")
	for _, e := range f.ends {
		for _, row := range []struct {
			what   string
			values []float64
		}{{"until the close frame", e.closed}, {"until the answer", e.settled}} {
			fmt.Fprintf(&out, "%-26s %8.2f %8.2f %8.2f  %s\n", row.what, 1000*stats.Median(row.values), 1000*quantile(row.values, 0.99), 1000*slices.Max(row.values), e.way)
		}
	}
	return out.String()
}

func (f *findings) row(out *strings.Builder, what string, at func(n int) float64) {
	fmt.Fprintf(out, "%-26s", what)
	for _, n := range f.sizes {
		fmt.Fprintf(out, "%14.2f", at(n))
	}
	fmt.Fprintf(out, "%14.2f\n", at(f.sizes[len(f.sizes)-1])/at(f.sizes[0]))
}

// check returns an error for each thing that grows with the fleet.
func (f *findings) check() error {
	var errs []error
	first, last := f.sizes[0], f.sizes[len(f.sizes)-1]
	for _, way := range f.ways() {
		for _, q := range questions {
			if ratio := f.joined(last, way, q.of).cpu / f.joined(first, way, q.of).cpu; ratio > f.growth {
				errs = append(errs, fmt.Errorf("%s, %s: takes %.2f times the CPU time with %d connections that it takes with %d", q.what, way, ratio, last, first))
			}
		}
	}
	// On the way up: what all of it at once has left behind is no part of this.
	up := f.memory[:len(f.sizes)]
	if ratio := float64(up[len(up)-1].peak) / float64(up[0].peak); ratio > f.growth {
		errs = append(errs, fmt.Errorf("the apiserver takes %.2f times the memory with %d connections that it takes with %d", ratio, last, first))
	}
	for _, b := range f.bulks {
		if b.failure != "" {
			errs = append(errs, fmt.Errorf("%s, %s: %s", b.what, b.way, b.failure))
		}
	}
	return errors.Join(errs...)
}

// quantile returns the value that the share q (0 to 1) of the values does not exceed,
// the nearest one that there is.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
