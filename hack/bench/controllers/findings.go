// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wsproxy/wsproxy/hack/bench/stats"
)

// findings are what was measured.
type findings struct {
	options
	windows   []window
	deletions []deletion
}

// figures are what a window says, in the order of the table.
var figures = []figure{
	{what: "CPU in the window, s", of: func(w *window) float64 { return w.cpu.Seconds() },
		other: func(w *window) float64 { return w.other.Seconds() }},
	{what: "CPU until then, s", of: func(w *window) float64 { return w.start.Seconds() },
		other: func(w *window) float64 { return w.otherStart.Seconds() }},
	{what: "PSS at its end, MiB", of: func(w *window) float64 { return float64(w.pss) / (1 << 20) }},
	{what: "heap in use, MiB", of: func(w *window) float64 { return float64(w.heap) / (1 << 20) }},
}

type figure struct {
	what string
	of   func(*window) float64
	// other is what kube-scheduler took of the same, where that tells something: CPU time
	// is dearer for all who share the cores with 50,000 connections and their clients.
	other func(*window) float64
}

// values are those of a figure in the windows of a kind.
func (f *findings) values(with, ownCredentials bool, of func(*window) float64) (all []float64) {
	for i := range f.windows {
		if w := &f.windows[i]; (w.connections > 0) == with && w.ownCredentials == ownCredentials {
			all = append(all, of(w))
		}
	}
	return all
}

// ratio is the median of a figure with connections by that without.
func (f *findings) ratio(ownCredentials bool, of func(*window) float64) float64 {
	return stats.Median(f.values(true, ownCredentials, of)) / stats.Median(f.values(false, ownCredentials, of))
}

// String is the tables.
func (f *findings) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d connections of %d pods, windows of %v\n", f.connections, f.pods(), f.window)
	for _, own := range []bool{true, false} {
		fmt.Fprintf(&out, "\n%-42s %20s %20s %8s\n", fmt.Sprintf("%s=%v", ownAccounts, own), "with connections", "without", "ratio")
		for _, figure := range figures {
			fmt.Fprintf(&out, "%-42s %20s %20s %8.2f\n", figure.what, list(f.values(true, own, figure.of)), list(f.values(false, own, figure.of)), f.ratio(own, figure.of))
			if figure.other != nil {
				fmt.Fprintf(&out, "%-42s %20s %20s %8.2f\n", "    the same of kube-scheduler", list(f.values(true, own, figure.other)), list(f.values(false, own, figure.other)), f.ratio(own, figure.other))
			}
		}
		fmt.Fprintf(&out, "%-42s %20.0f %20.0f\n", "times that a monitor was not synced", sum(f.values(true, own, failures)), sum(f.values(false, own, failures)))
	}
	fmt.Fprintf(&out, "\na namespace with %d connections, drained in %v\n", f.doomed, drain)
	for _, d := range f.deletions {
		fmt.Fprintf(&out, "  %s=%-5v beside %d others: last client closed after %.1f s, gone after %.1f s\n",
			ownAccounts, d.ownCredentials, d.beside, d.closed.Seconds(), d.gone.Seconds())
	}
	return out.String()
}

func failures(w *window) float64 { return w.failures }

func list(values []float64) string {
	var texts []string
	for _, v := range values {
		texts = append(texts, fmt.Sprintf("%.2f", v))
	}
	return strings.Join(texts, " ")
}

func sum(values []float64) (s float64) {
	for _, v := range values {
		s += v
	}
	return s
}

// check returns an error for each thing that is not as promised.
func (f *findings) check() error {
	var errs []error
	for _, own := range []bool{true, false} {
		for _, figure := range figures {
			ratio, usual := f.ratio(own, figure.of), 1.0
			if figure.other != nil {
				usual = max(usual, f.ratio(own, figure.other))
			}
			if ratio > f.growth*usual {
				errs = append(errs, fmt.Errorf("%s=%v, %s: %.2f times as much with connections, where %.2f would be the machine's", ownAccounts, own, figure.what, ratio, usual))
			}
		}
		if n := sum(f.values(true, own, failures)) + sum(f.values(false, own, failures)); n > 0 {
			errs = append(errs, fmt.Errorf("%s=%v: monitors were not synced %.0f times", ownAccounts, own, n))
		}
	}
	for _, d := range f.deletions {
		if d.gone > promised {
			errs = append(errs, fmt.Errorf("a namespace was gone after %v, the promise is %v", d.gone.Round(time.Millisecond), promised))
		}
	}
	return errors.Join(errs...)
}
