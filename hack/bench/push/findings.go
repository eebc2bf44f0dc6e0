// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// findings are what was measured.
type findings struct {
	options
	// kubectl and acknowledged are seconds since `kubectl apply` was called: until it
	// returned, and until the status said that the last pod has acknowledged.
	kubectl, acknowledged []float64
	// nodes are the numbers of data-plane pods by node.
	nodes map[string]int
	// applied and skipped are the pushes that the operators counted.
	applied, skipped float64
	// replaced says that the pods are not those that they were.
	replaced bool
	report   *fleet.Report
}

// String is the report.
func (f *findings) String() string {
	t := f.report.Totals
	var out strings.Builder
	fmt.Fprintf(&out, "\n%d changes of all eight settings, one after the other was acknowledged\n\n", len(f.acknowledged))
	fmt.Fprintf(&out, "  pods          %d on %d nodes: %s\n", f.pods, len(f.nodes), counts(f.nodes))
	fmt.Fprintf(&out, "  connections   %d, by pod: %s\n", t.Opened, counts(f.report.Pods))
	fmt.Fprintf(&out, "  closed        %d\n", t.ClosedEarly)
	fmt.Fprintf(&out, "  messages      %d sent, %d missing, %d doubled, %d out of order, %d foreign\n", t.Sent, t.Missing, t.Duplicated, t.OutOfOrder, t.Foreign)
	fmt.Fprintf(&out, "  echoes        half within %v, 99 %% within %v, longest %v\n", t.Median, t.P99, t.Longest.Round(time.Millisecond))
	fmt.Fprintf(&out, "  pushes        %v applied, %v skipped\n\n", f.applied, f.skipped)
	fmt.Fprintf(&out, "  seconds since kubectl apply was called   median     90 %%    longest\n")
	for _, row := range []struct {
		what   string
		values []float64
	}{{"until kubectl returned", f.kubectl}, {"until the last pod had acknowledged", f.acknowledged}} {
		fmt.Fprintf(&out, "  %-38s %8.3f %8.3f %10.3f\n", row.what, quantile(row.values, 0.5), quantile(row.values, 0.9), slices.Max(row.values))
	}
	return out.String()
}

// check returns an error unless it is as promised.
func (f *findings) check(o options) error {
	errs := []error{f.report.CheckOpen(), f.report.CheckAll()}
	if f.replaced {
		errs = append(errs, errors.New("pods were replaced"))
	}
	if want := float64(o.pods * len(f.acknowledged)); f.applied != want {
		errs = append(errs, fmt.Errorf("%v pushes were applied, want one for each change and pod: %v", f.applied, want))
	}
	if median := quantile(f.acknowledged, 0.5); median >= o.target.Seconds() {
		errs = append(errs, fmt.Errorf("the median is %.3f s, the target %v", median, o.target))
	}
	return errors.Join(errs...)
}

// quantile returns the value that the share q (0 to 1) of the values does not exceed,
// the nearest one that there is.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

// counts lists numbers by name, without the names.
func counts(of map[string]int) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprint(of[name]))
	}
	return strings.Join(all, " ")
}
