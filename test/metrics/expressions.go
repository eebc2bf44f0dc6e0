// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

// Expression is one that somebody has Prometheus evaluate.
type Expression struct {
	// Where is the alert, or the panel.
	Where, Text string
}

// Alerts returns the expressions of a file of rules.
func Alerts(file string) ([]Expression, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(raw, &rules); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var all []Expression
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			all = append(all, Expression{r.Alert, r.Expr})
		}
	}
	return all, nil
}

// Panels returns the expressions of a dashboard, of its panels and its variables.
func Panels(file string) ([]Expression, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	if err := json.Unmarshal(raw, &dashboard); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var all []Expression
	for _, p := range dashboard.Panels {
		for _, t := range p.Targets {
			all = append(all, Expression{p.Title, t.Expr})
		}
	}
	for _, v := range dashboard.Templating.List {
		if v.Definition != "" {
			all = append(all, Expression{"variable " + v.Name, v.Definition})
		}
	}
	return all, nil
}

var (
	quoted = regexp.MustCompile(`"[^"]*"`)
	// lists are of labels, not of metrics.
	lists  = regexp.MustCompile(`\{[^}]*\}|\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	ranges = regexp.MustCompile(`\[[^\]]*\]`)
	names  = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?`)
	// A label_values of Grafana has a metric, and then a label.
	labelValues = regexp.MustCompile(`^label_values\((.*),\s*\w+\)$`)
)

// Metrics returns the names of the metrics in an expression, and those of histograms
// without what their series end with. It knows as much of PromQL as it takes to see
// what is a name and what is not.
func (e Expression) Metrics() []string {
	text := e.Text
	if found := labelValues.FindStringSubmatch(text); found != nil {
		text = found[1]
	}
	text = quoted.ReplaceAllString(text, "")
	text = lists.ReplaceAllString(text, " ")
	text = ranges.ReplaceAllString(text, " ")
	var metrics []string
	for _, name := range names.FindAllString(text, -1) {
		name = strings.TrimSpace(name)
		if strings.HasSuffix(name, "(") || keywords[name] {
			continue
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, suffix)
		}
		metrics = append(metrics, name)
	}
	return metrics
}

// keywords are what stands alone and is no metric.
var keywords = map[string]bool{
	"and": true, "or": true, "unless": true, "bool": true, "offset": true, "group_left": true, "group_right": true,
	"by": true, "without": true, "on": true, "ignoring": true,
	"sum": true, "min": true, "max": true, "count": true, // before by ( … )
}
