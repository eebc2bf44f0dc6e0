// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"
)

// The sizes of the grid, in pixels.
const (
	column, line = 56, 30
	gap          = 6
)

var palette = []string{"#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642", "#cca300"}

var colors = map[string]string{"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2"}

// page is what is drawn so far.
type page struct {
	title  string
	p      prometheus
	body   strings.Builder
	shift  int // what is left out above
	bottom int
	begun  bool
}

func newPage(title string, p prometheus) *page { return &page{title: title, p: p} }

func (g *page) html() string {
	return fmt.Sprintf(`<!doctype html><meta charset="utf-8"><title>%s</title><style>
body{margin:0;background:#111217;color:#ccccdc;font:12px Inter,"DejaVu Sans",sans-serif}
h1{font-size:16px;margin:12px 12px 8px}main{position:relative;width:%dpx;height:%dpx;margin:0 6px}
section{position:absolute;background:#181b1f;border:1px solid #2a2d33;box-sizing:border-box;overflow:hidden}
h2{font-size:12px;margin:5px 8px 2px;font-weight:600}h3{position:absolute;font-size:14px;margin:6px 4px}
table{border-collapse:collapse;width:calc(100%% - 16px);margin:4px 8px;font-size:11px}td,th{text-align:left;padding:2px 8px 2px 0;border-bottom:1px solid #2a2d33}
.stat{font-size:34px;font-weight:600;text-align:center;padding-top:14px}.none{color:#6e7078;padding:8px}
.bar{display:flex;align-items:center;margin:3px 8px;font-size:11px}.bar span:first-child{width:46%%;overflow:hidden;white-space:nowrap;text-overflow:ellipsis}
.bar i{display:block;height:13px}.bar b{flex:1;background:#22252b;margin-right:6px}.bar span:last-child{width:60px;text-align:right}
.legend{font-size:10px;margin:0 8px;line-height:13px}.legend i{display:inline-block;width:10px;height:3px;margin:0 4px 3px 8px}
</style><h1>%s <small style="font-weight:400;color:#8e9099">%s, the last %s; drawn by hack/dashboard</small></h1><main>%s</main>`,
		html.EscapeString(g.title), 24*column, g.bottom*line+20, html.EscapeString(g.title), g.p.end.UTC().Format("2006-01-02 15:04 UTC"), g.p.span, g.body.String())
}

// add draws a panel.
func (g *page) add(p *panel, data []series) {
	if !g.begun || p.Type == "row" && p.GridPos.Y-g.shift > g.bottom {
		g.shift, g.begun = p.GridPos.Y-g.bottom, true
	}
	x, y := p.GridPos.X*column, (p.GridPos.Y-g.shift)*line
	w, h := p.GridPos.W*column-gap, p.GridPos.H*line-gap
	g.bottom = max(g.bottom, p.GridPos.Y-g.shift+p.GridPos.H)
	if p.Type == "row" {
		fmt.Fprintf(&g.body, `<h3 style="left:%dpx;top:%dpx">%s</h3>`, x, y, html.EscapeString(p.Title))
		return
	}
	fmt.Fprintf(&g.body, `<section style="left:%dpx;top:%dpx;width:%dpx;height:%dpx"><h2>%s</h2>`, x, y, w, h, html.EscapeString(p.Title))
	switch {
	case len(data) == 0:
		g.body.WriteString(`<div class="none">No data</div>`)
	case p.Type == "stat":
		g.stat(p, data[0].last())
	case p.Type == "bargauge":
		g.bars(p, data)
	case p.Type == "table":
		g.table(p, data)
	default:
		g.lines(p, data, w-16, h-40)
	}
	g.body.WriteString("</section>")
}

// colorOf is the color of the highest threshold that a value has reached.
func (p *panel) colorOf(value float64) string {
	color := "blue"
	for _, s := range p.FieldConfig.Defaults.Thresholds.Steps {
		if s.Value == nil || value >= *s.Value {
			color = s.Color
		}
	}
	return cmp.Or(colors[color], color)
}

func (g *page) stat(p *panel, value float64) {
	text := format(value, p.FieldConfig.Defaults.Unit)
	for _, m := range p.FieldConfig.Defaults.Mappings {
		if o, ok := m.Options[fmt.Sprint(value)]; ok {
			text = o.Text
		}
	}
	fmt.Fprintf(&g.body, `<div class="stat" style="color:%s">%s</div>`, p.colorOf(value), html.EscapeString(text))
}

func (g *page) bars(p *panel, data []series) {
	most := 0.0
	if p.FieldConfig.Defaults.Max != nil {
		most = *p.FieldConfig.Defaults.Max
	}
	for i := range data {
		most = max(most, data[i].last())
	}
	slices.SortFunc(data, func(a, b series) int { return cmp.Compare(b.last(), a.last()) })
	for i := range data {
		v := data[i].last()
		fmt.Fprintf(&g.body, `<div class="bar"><span>%s</span><b><i style="width:%.1f%%;background:%s"></i></b><span>%s</span></div>`,
			html.EscapeString(data[i].legend), 100*v/max(most, 1e-9), p.colorOf(v), format(v, p.FieldConfig.Defaults.Unit))
	}
}

func (g *page) table(p *panel, data []series) {
	options := p.Transformations[0].Options
	var names []string
	for name := range options.IndexByName {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return options.IndexByName[a] - options.IndexByName[b] })
	g.body.WriteString("<table><tr>")
	for _, name := range names {
		fmt.Fprintf(&g.body, "<th>%s</th>", html.EscapeString(cmp.Or(options.RenameByName[name], name)))
	}
	g.body.WriteString("</tr>")
	for i := range data {
		g.body.WriteString("<tr>")
		for _, name := range names {
			text := data[i].labels[name]
			if name == "Value" {
				text = format(data[i].last(), p.FieldConfig.Defaults.Unit)
			}
			fmt.Fprintf(&g.body, "<td>%s</td>", html.EscapeString(text))
		}
		g.body.WriteString("</tr>")
	}
	g.body.WriteString("</table>")
}

// lines draws lines, or areas on top of each other.
func (g *page) lines(p *panel, data []series, w, h int) {
	stacked := p.FieldConfig.Defaults.Custom.Stacking.Mode == "normal"
	h -= 13 * min(3, 1+len(data)/5) // room for the legend
	begin, end := float64(g.p.end.Add(-g.p.span).Unix()), float64(g.p.end.Unix())
	base := map[float64]float64{} // what lies below, by the moment
	tops := make([][]point, len(data))
	most := 0.0
	for i := range data {
		for _, q := range data[i].points {
			if stacked {
				base[q.at] += q.value
				q.value = base[q.at]
			}
			tops[i] = append(tops[i], q)
			most = max(most, q.value)
		}
	}
	most = niceCeil(most)
	const left, under = 58, 16
	X := func(at float64) float64 { return left + (at-begin)/(end-begin)*float64(w-left) }
	Y := func(v float64) float64 { return float64(h-under) - v/most*float64(h-under-6) }
	fmt.Fprintf(&g.body, `<svg width="%d" height="%d" style="margin-left:8px" font-size="10" fill="#8e9099">`, w, h)
	for i := range 5 {
		v := most * float64(i) / 4
		fmt.Fprintf(&g.body, `<path d="M%d %.1fH%d" stroke="#2a2d33"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`, left, Y(v), w, left-5, Y(v)+3, format(v, p.FieldConfig.Defaults.Unit))
		at := begin + (end-begin)*float64(i)/4
		anchor := []string{"start", "middle", "middle", "middle", "end"}[i]
		fmt.Fprintf(&g.body, `<text x="%.1f" y="%d" text-anchor="%s">%s</text>`, X(at), h-3, anchor, time.Unix(int64(at), 0).UTC().Format("15:04"))
	}
	for i := len(data) - 1; i >= 0; i-- { // The lowest of a stack is drawn last.
		color, path, area := palette[i%len(palette)], "", ""
		for j, q := range tops[i] {
			command := "L"
			if j == 0 || q.at-tops[i][j-1].at > 4*g.p.span.Seconds()/points {
				command = "M"
			}
			if command == "M" {
				if j > 0 {
					area += fmt.Sprintf("L%.1f %.1fZ", X(tops[i][j-1].at), Y(0))
				}
				area += fmt.Sprintf("M%.1f %.1f", X(q.at), Y(0))
			}
			area += fmt.Sprintf("L%.1f %.1f", X(q.at), Y(q.value))
			path += fmt.Sprintf("%s%.1f %.1f", command, X(q.at), Y(q.value))
		}
		if stacked {
			fmt.Fprintf(&g.body, `<path d="%sL%.1f %.1fZ" fill="%s"/>`, area, X(tops[i][len(tops[i])-1].at), Y(0), color)
		}
		fmt.Fprintf(&g.body, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`, path, color)
	}
	g.body.WriteString(`</svg><div class="legend">`)
	for i := range data {
		fmt.Fprintf(&g.body, `<i style="background:%s"></i>%s`, palette[i%len(palette)], html.EscapeString(cmp.Or(data[i].legend, "value")))
	}
	g.body.WriteString("</div>")
}

// niceCeil is a round number above.
func niceCeil(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}

// format shows a value in a unit of Grafana's.
func format(v float64, unit string) string {
	number := func(v float64) string {
		switch {
		case v == math.Trunc(v) && math.Abs(v) < 1e4:
			return fmt.Sprintf("%.0f", v)
		case math.Abs(v) >= 1e6:
			return fmt.Sprintf("%.3g M", v/1e6)
		case math.Abs(v) >= 1e4:
			return fmt.Sprintf("%.3g k", v/1e3)
		default:
			return fmt.Sprintf("%.3g", v)
		}
	}
	scaled := func(v float64, by float64, units ...string) string {
		i := 0
		for ; i < len(units)-1 && math.Abs(v) >= by; i++ {
			v /= by
		}
		return fmt.Sprintf("%.3g %s", v, units[i])
	}
	switch unit {
	case "percentunit":
		return fmt.Sprintf("%.1f %%", 100*v)
	case "s":
		switch a := math.Abs(v); {
		case a == 0:
			return "0"
		case a < 1:
			return scaled(v*1e6, 1000, "µs", "ms", "s")
		case a < 120:
			return fmt.Sprintf("%.3g s", v)
		case a < 7200:
			return fmt.Sprintf("%.3g min", v/60)
		case a < 2*86400:
			return fmt.Sprintf("%.3g h", v/3600)
		default:
			return fmt.Sprintf("%.3g d", v/86400)
		}
	case "bytes":
		return scaled(v, 1024, "B", "KiB", "MiB", "GiB")
	case "Bps":
		return scaled(v, 1000, "B/s", "kB/s", "MB/s", "GB/s")
	case "cps", "reqps":
		return number(v) + "/s"
	}
	return number(v)
}
