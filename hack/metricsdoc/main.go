// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command metricsdoc writes docs/metrics.md from the code: what the three programs
// publish, the words that labels and log lines are made of, and what the log says.
//
//	metricsdoc > docs/metrics.md
//
// It is run from the root of the repository.
package main

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"

	"github.com/wsproxy/wsproxy/hack/metricsdoc/inventory"
)

//go:embed page.md.tmpl
var page string

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "metricsdoc:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	programs, err := inventory.Programs()
	if err != nil {
		return err
	}
	functions := template.FuncMap{
		"words": inventory.Words,
		"labels": func(m inventory.Metric) string {
			if len(m.Labels) == 0 {
				return ""
			}
			return "`" + strings.Join(m.Labels, "`, `") + "`"
		},
		"cell": func(text string) string { return strings.ReplaceAll(text, "|", `\|`) },
	}
	t, err := template.New("page").Funcs(functions).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(out, programs)
}
