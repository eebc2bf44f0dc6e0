// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// What a terminal is told (ECMA-48): to go to the upper left corner, and to erase the
// rest of the line, what is below, and everything.
const (
	home       = "\x1b[H"
	eraseLine  = "\x1b[K"
	eraseBelow = "\x1b[J"
	eraseAll   = "\x1b[2J"
)

// Size is how many columns and rows there are.
type Size struct{ Columns, Rows int }

// Screen is for one goroutine.
type Screen struct {
	out io.Writer
	// size asks the terminal each time, because windows change; nil if there is none.
	size  func() (Size, error)
	shown bool
}

// New returns a Screen on a writer, which may be a terminal.
func New(out io.Writer) *Screen {
	s := &Screen{out: out}
	if file, ok := IsTerminal(out); ok {
		s.size = func() (Size, error) {
			columns, rows, err := term.GetSize(int(file.Fd()))
			return Size{columns, rows}, err
		}
	}
	return s
}

// IsTerminal reports whether a writer is a terminal that can erase.
func IsTerminal(out io.Writer) (*os.File, bool) {
	file, ok := out.(*os.File)
	return file, ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

// InPlace reports whether a text takes the place of the one before.
func (s *Screen) InPlace() bool { return s.size != nil }

// Show shows a text of whole lines. Where it does not fit, its last lines are left out,
// and how many is said.
func (s *Screen) Show(text string) error {
	var shown bytes.Buffer
	if s.size == nil {
		if s.shown {
			shown.WriteByte('\n')
		}
		shown.WriteString(text)
	} else {
		size, err := s.size()
		if err != nil {
			return fmt.Errorf("size of the terminal: %w", err)
		}
		if !s.shown {
			shown.WriteString(eraseAll)
		}
		shown.WriteString(home)
		for _, line := range clip(text, size) {
			// Erasing first: behind a full line the cursor may still be on its last column.
			shown.WriteString(eraseLine + line + "\n")
		}
		shown.WriteString(eraseBelow)
	}
	s.shown = true
	_, err := shown.WriteTo(s.out)
	return err
}

// clip returns what fits. The last row stays empty: a line in it, ended, would push out
// the first one.
func clip(text string, size Size) []string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if room := max(size.Rows-1, 1); len(lines) > room {
		hidden := len(lines) - (room - 1)
		lines = append(lines[:room-1:room-1], fmt.Sprintf("... and %d more", hidden))
	}
	for i, line := range lines {
		lines[i] = clipLine(line, size.Columns)
	}
	return lines
}

func clipLine(line string, columns int) string {
	if utf8.RuneCountInString(line) <= columns {
		return line
	}
	return string([]rune(line)[:columns])
}
