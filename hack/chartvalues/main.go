// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
)

// The lines of the README between which the tables are.
const (
	begin = "<!-- The following is made of values.yaml by hack/chartvalues. -->\n"
	end   = "<!-- The end of it. -->\n"
)

func main() {
	chart := flag.String("chart", "charts/wsproxy", "folder of the chart")
	flag.Parse()
	if err := run(*chart); err != nil {
		fmt.Fprintln(os.Stderr, "chartvalues:", err)
		os.Exit(1)
	}
}

// run replaces the tables in the README of a chart.
func run(chart string) error {
	values, err := os.ReadFile(chart + "/values.yaml")
	if err != nil {
		return err
	}
	tables, err := render(values)
	if err != nil {
		return fmt.Errorf("%s/values.yaml: %w", chart, err)
	}
	name := chart + "/README.md"
	readme, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, found := bytes.Cut(readme, []byte(begin))
	_, after, closed := bytes.Cut(rest, []byte(end))
	if !found || !closed {
		return fmt.Errorf("%s has no place for the values: the lines %q and %q", name, begin, end)
	}
	readme = fmt.Appendf(nil, "%s%s\n%s\n%s%s", before, begin, tables, end, after)
	return os.WriteFile(name, readme, 0o644) //nolint:gosec // It is to be read by everybody.
}
