// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// panel is one of the dashboard. Its place is in a grid of 24 columns.
type panel struct {
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct {
		Expr, LegendFormat string
		Instant            bool
	}
	FieldConfig struct {
		Defaults struct {
			Unit     string
			Decimals *int
			Max      *float64
			Custom   struct{ Stacking struct{ Mode string } }
			Mappings []struct {
				Options map[string]struct{ Text, Color string }
			}
			Thresholds struct {
				Steps []struct {
					Color string
					Value *float64
				}
			}
		}
	}
	Transformations []struct {
		Options struct {
			ExcludeByName map[string]bool
			IndexByName   map[string]int
			RenameByName  map[string]string
		}
	}
}

type dashboard struct {
	Title  string
	Panels []panel
}

func main() {
	p := prometheus{}
	file := flag.String("dashboard", "charts/wsproxy/files/dashboards/wsproxy.json", "`file` of the dashboard")
	flag.StringVar(&p.url, "prometheus", "http://127.0.0.1:9090", "`URL` of Prometheus")
	flag.DurationVar(&p.span, "range", time.Hour, "how far back")
	ago := flag.Duration("ago", 0, "how long ago that ended")
	flag.DurationVar(&p.rate, "rate-interval", time.Minute, "what $__rate_interval stands for: four times as long as Prometheus waits between scrapes")
	title := flag.String("title", "", "what the page is called; empty: as the dashboard")
	rows := flag.String("rows", "", "only rows whose titles have one of these words, with commas between")
	flag.Parse()
	p.end = time.Now().Add(-*ago)
	empty, err := run(os.Stdout, *file, *title, strings.FieldsFunc(*rows, func(r rune) bool { return r == ',' }), p)
	if err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
	for _, title := range empty {
		fmt.Fprintln(os.Stderr, "no data:", title)
	}
}

// run writes the page and returns the titles of the panels without data.
func run(out io.Writer, file, title string, rows []string, p prometheus) (empty []string, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var d dashboard
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if title == "" {
		title = d.Title
	}
	page := newPage(title, p)
	wanted := true
	for i := range d.Panels {
		if d.Panels[i].Type == "row" {
			wanted = len(rows) == 0 || containsAny(d.Panels[i].Title, rows)
		}
		if !wanted {
			continue
		}
		data, err := p.ask(&d.Panels[i])
		if err != nil {
			return nil, fmt.Errorf("panel %q: %w", d.Panels[i].Title, err)
		}
		if len(data) == 0 && d.Panels[i].Type != "row" {
			empty = append(empty, d.Panels[i].Title)
		}
		page.add(&d.Panels[i], data)
	}
	_, err = io.WriteString(out, page.html())
	return empty, err
}

func containsAny(text string, words []string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}
