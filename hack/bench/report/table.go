// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"unicode/utf8"
)

// table is cells in lines; the first line is the head.
type table [][]string

// text aligns the columns, the first one to the left and the others to the right.
func (t table) text() string {
	widths := t.widths()
	var b strings.Builder
	for _, line := range t {
		var padded strings.Builder
		for i, cell := range line {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				padded.WriteString(cell + space)
				continue
			}
			padded.WriteString("  " + space + cell)
		}
		b.WriteString(strings.TrimRight(padded.String(), " ") + "\n")
	}
	return b.String()
}

// cells keeps text from being taken for markup.
var cells = strings.NewReplacer("|", `\|`, "<", "&lt;")

// markdown writes the same with bars.
func (t table) markdown() string {
	var b strings.Builder
	for i, line := range t {
		for _, cell := range line {
			b.WriteString("| " + cells.Replace(cell) + " ")
		}
		b.WriteString("|\n")
		if i == 0 {
			b.WriteString("|---" + strings.Repeat("|---:", len(line)-1) + "|\n")
		}
	}
	return b.String()
}

func (t table) widths() []int {
	widths := make([]int, len(t[0]))
	for _, line := range t {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}
