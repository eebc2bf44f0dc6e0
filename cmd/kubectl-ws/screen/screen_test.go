// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
)

func TestWithoutATerminalTextsAreBelowEachOtherAndPlain(t *testing.T) {
	var out bytes.Buffer
	s := New(&out)
	for _, text := range []string{"one\n", "two\n"} {
		if err := s.Show(text); err != nil {
			t.Fatal(err)
		}
	}
	if want := "one\n\ntwo\n"; out.String() != want || s.InPlace() {
		t.Errorf("%q, want %q", out.String(), want)
	}
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if New(file).InPlace() {
		t.Error("a file is taken for a terminal")
	}
}

func TestATerminalShowsTheLastTextWithinItsSize(t *testing.T) {
	var out bytes.Buffer
	size := Size{Columns: 5, Rows: 4}
	s := &Screen{out: &out, size: func() (Size, error) { return size, nil }}
	for _, step := range []struct {
		size Size
		text string
		want []string
	}{
		{Size{20, 4}, "1\n2\n3\n", []string{"1", "2", "3"}},
		{Size{20, 4}, "1\n2\n3\n4\n5\n", []string{"1", "2", "... and 3 more"}},
		{Size{20, 4}, "only\n", []string{"only"}},
		{Size{3, 4}, "äöüß\nab\n", []string{"äöü", "ab"}},
		// Some say so of windows that are closed.
		{Size{0, 0}, "1\n2\n", []string{""}},
	} {
		size = step.size
		out.Reset()
		if err := s.Show(step.text); err != nil {
			t.Fatal(err)
		}
		first := strings.TrimPrefix(out.String(), eraseAll)
		want := home + eraseLine + strings.Join(step.want, "\n"+eraseLine) + "\n" + eraseBelow
		if first != want {
			t.Errorf("%q in %v: %q, want %q", step.text, step.size, first, want)
		}
	}
}

func TestATerminalIsErasedOnce(t *testing.T) {
	var out bytes.Buffer
	s := &Screen{out: &out, size: func() (Size, error) { return Size{80, 24}, nil }}
	for range 3 {
		if err := s.Show("text\n"); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(out.String(), eraseAll); got != 1 {
		t.Errorf("it is erased %d times: whoever looks at it would see it flicker", got)
	}
}

func TestATerminalThatIsGoneIsAnError(t *testing.T) {
	gone := errors.New("gone")
	s := &Screen{out: &bytes.Buffer{}, size: func() (Size, error) { return Size{}, gone }}
	if err := s.Show("text\n"); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}
