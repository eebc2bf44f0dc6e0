// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"github.com/wsproxy/wsproxy/hack/bench/results"
	"github.com/wsproxy/wsproxy/hack/bench/stats"
)

// Measures of a plot, in pixels.
const (
	plotWidth  = 760
	labelWidth = 120
	barWidth   = 540 // of the longest bar
	lineHeight = 22
	panelGap   = 26
)

// Plot draws the rows below each other, each as a panel with a bar per peer: its
// length is the median, the line across its end goes from the least to the
// greatest value. It returns an SVG image, empty where there is nothing to draw.
func Plot(set *results.Set, rows []results.Row) string {
	var body strings.Builder
	y := 8
	for _, row := range rows {
		if panel, height := panel(set, row, y); height > 0 {
			body.WriteString(panel)
			y += height + panelGap
		}
	}
	if body.Len() == 0 {
		return ""
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="white"/>
%s</svg>
`, plotWidth, y, plotWidth, y, body.String())
}

// panel draws one row from y on and returns its height.
func panel(set *results.Set, row results.Row, y int) (svg string, height int) {
	peers := set.PeersOf(row)
	if len(peers) == 0 {
		return "", 0
	}
	longest := 0.0
	for _, peer := range peers {
		longest = max(longest, slices.Max(set.Values(row.ID, peer)))
	}
	scale := func(v float64) float64 {
		if longest <= 0 {
			return 0
		}
		return max(0, v) / longest * barWidth
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<text x="8" y="%d" font-weight="bold">%s, %s</text>`+"\n", y+14, html.EscapeString(row.Title), html.EscapeString(row.Unit))
	for i, peer := range peers {
		values := set.Values(row.ID, peer)
		top := y + lineHeight*(i+1)
		median, least, greatest := stats.Median(values), scale(slices.Min(values)), scale(slices.Max(values))
		color := "#9aa5b1"
		if isOurs(set, peer) {
			color = "#1f77b4"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, labelWidth-6, top+15, html.EscapeString(peer))
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, labelWidth, top+3, scale(median), lineHeight-6, color)
		fmt.Fprintf(&b, `<path d="M%.1f %dH%.1f" stroke="#333"/>`, labelWidth+least, top+lineHeight/2, labelWidth+greatest)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s</text>`+"\n", labelWidth+math.Max(scale(median), greatest)+6, top+15, number(median))
	}
	return b.String(), lineHeight * (len(peers) + 1)
}
