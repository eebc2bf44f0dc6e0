// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package markdown

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// Document is a page.
type Document struct {
	Blocks []Block
	Tables []Table
	// Links are the targets of links, as they are written, without those in code.
	Links []string
	// Anchors are those of the headings, as GitHub makes them.
	Anchors []string
}

// Block is fenced code.
type Block struct {
	// Line is where it begins, counted from 1.
	Line int
	// Anchor is that of the heading above it.
	Anchor string
	// Language is the first word behind the fence; empty where there is none.
	Language string
	Text     string
	// NotRun and DryRun say why; empty where the block does not say so.
	NotRun, DryRun string
	// From is the file that it stands in.
	From string
	// Prints are patterns of lines.
	Prints []*regexp.Regexp
}

// Table is rows of cells, without the spaces around them.
type Table struct {
	Anchor string
	Header []string
	Rows   [][]string
}

var (
	comment = regexp.MustCompile(`^<!-- (not run|dry run|prints|from): (.+) -->$`)
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	inCode  = regexp.MustCompile("`[^`]*`")
	// noAnchor is what GitHub leaves out of anchors.
	noAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Read reads a file. Errors: those of the file, and a page that is malformed.
func Read(file string) (*Document, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s:%w", file, err)
	}
	return d, nil
}

// Parse reads a page. Its errors begin with the number of a line.
func Parse(text string) (*Document, error) {
	d := &Document{}
	var next Block // what comments say of it
	var open *Block
	var anchor, previous string
	inTable := false
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case open != nil && line == "```":
			d.Blocks, open, next = append(d.Blocks, *open), nil, Block{}
		case open != nil:
			open.Text += line + "\n"
		case fence:
			language, _, _ := strings.Cut(info, " ")
			next.Line, next.Anchor, next.Language = number, anchor, language
			open = &next
		case strings.HasPrefix(line, "<!--"):
			if err := next.heed(line); err != nil {
				return nil, fmt.Errorf("%d: %w", number, err)
			}
		case strings.HasPrefix(line, "#"):
			anchor = Anchor(strings.TrimLeft(line, "# "))
			d.Anchors = append(d.Anchors, anchor)
		case strings.HasPrefix(line, "|---"):
			d.Tables = append(d.Tables, Table{Anchor: anchor, Header: Cells(previous)})
			inTable = true
		case inTable && strings.HasPrefix(line, "|"):
			t := &d.Tables[len(d.Tables)-1]
			row := Cells(line)
			if len(row) != len(t.Header) {
				return nil, fmt.Errorf("%d: a row has %d cells, want %d", number, len(row), len(t.Header))
			}
			t.Rows = append(t.Rows, row)
		}
		if open == nil && !fence {
			inTable = inTable && strings.HasPrefix(line, "|")
			for _, found := range link.FindAllStringSubmatch(inCode.ReplaceAllString(line, ""), -1) {
				d.Links = append(d.Links, found[1])
			}
		}
		previous = line
	}
	if open != nil {
		return nil, fmt.Errorf("%d: the block has no end", open.Line)
	}
	return d, nil
}

// heed notes what a comment says of the next block; a comment of another kind says
// nothing.
func (b *Block) heed(line string) error {
	found := comment.FindStringSubmatch(line)
	if found == nil {
		return nil
	}
	switch word, rest := found[1], found[2]; word {
	case "not run":
		b.NotRun = rest
	case "dry run":
		b.DryRun = rest
	case "from":
		b.From = rest
	case "prints":
		pattern, err := regexp.Compile(rest)
		if err != nil {
			return fmt.Errorf("prints: %w", err)
		}
		b.Prints = append(b.Prints, pattern)
	}
	return nil
}

// Anchor is what GitHub makes of a heading.
func Anchor(heading string) string {
	return strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// Cells splits a row. A cell has no | of its own.
func Cells(row string) []string {
	row = strings.TrimSuffix(strings.TrimPrefix(row, "|"), "|")
	cells := strings.Split(row, "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// Code returns the first code in a cell; empty where there is none.
func Code(cell string) string {
	_, rest, _ := strings.Cut(cell, "`")
	code, _, _ := strings.Cut(rest, "`")
	return code
}
