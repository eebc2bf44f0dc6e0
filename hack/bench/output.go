// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/wsproxy/wsproxy/hack/bench/cases"
	"github.com/wsproxy/wsproxy/hack/bench/report"
	"github.com/wsproxy/wsproxy/hack/bench/results"
)

// write prints the report and writes it into a directory, with the samples and
// the plots.
func write(dir string, set *results.Set, chosen []*cases.Case, stdout io.Writer) error {
	samples, err := json.MarshalIndent(set, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	files := map[string]string{"results.json": string(samples) + "\n"}
	var plots []string
	for _, figure := range figuresOf(chosen) {
		if plot := report.Plot(set, figure.rows); plot != "" {
			plots = append(plots, figure.name+".svg")
			files[figure.name+".svg"] = plot
		}
	}
	files["report.md"] = report.Markdown(set, plots)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	_, err = fmt.Fprintf(stdout, "%s\nwritten to %s: report.md, results.json and %d plots\n", report.Text(set), dir, len(plots))
	return err
}

// figure is a plot: the rows of all cases whose names begin with its name.
type figure struct {
	name string
	rows []results.Row
}

func figuresOf(chosen []*cases.Case) []figure {
	var all []figure
	for _, c := range chosen {
		name, _, _ := strings.Cut(c.Name, "-")
		if n := len(all); n == 0 || all[n-1].name != name {
			all = append(all, figure{name: name})
		}
		all[len(all)-1].rows = append(all[len(all)-1].rows, c.Rows...)
	}
	return all
}

// about says what a reader must know to judge and to repeat a run.
func about(ctx context.Context, o options) []string {
	load, _ := os.ReadFile("/proc/loadavg") // Without it there is less to say.
	output := func(name string, args ...string) string {
		out, err := exec.CommandContext(ctx, name, args...).CombinedOutput() // #nosec G204 -- all are below.
		if err != nil {
			return "unknown"
		}
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return line
	}
	return []string{
		// The script adds --isolated by itself.
		strings.TrimSpace("command: hack/bench/bench " + strings.Join(slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool { return arg == "--isolated" }), " ")),
		"date: " + time.Now().UTC().Format(time.RFC3339),
		"commit: " + output("git", "describe", "--always", "--dirty"),
		fmt.Sprintf("machine: %d × %s, Linux %s", runtime.NumCPU(), processor(), output("uname", "-r")),
		"load before: " + strings.TrimSpace(string(load)),
		"go: " + runtime.Version() + "; " + output("nginx", "-v") + "; " + output("haproxy", "-v"),
		fmt.Sprintf("scale: %d rounds, window %v, others may use %.0f %% of the machine; connections: %d idle, %d stalled, %d silent, %d with TLS; %d messages a second for latencies",
			o.rounds, o.Window, 100*o.maxForeign, o.Idle, o.Stalled, o.Silent, o.TLS, o.Rate),
	}
}

// processor returns the model of the processor.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo") // Without it there is less to say.
	for line := range strings.Lines(string(info)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
