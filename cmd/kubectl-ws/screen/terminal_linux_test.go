// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens both ends of a pseudoterminal (pty(7)).
func terminal(t *testing.T, size Size) (far, near *os.File) {
	t.Helper()
	far, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudoterminals here: %v", err)
	}
	t.Cleanup(func() { far.Close() })
	number, err := unix.IoctlGetInt(int(far.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(far.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(far.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(size.Rows), Col: uint16(size.Columns)}); err != nil {
		t.Fatal(err)
	}
	near, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	return far, near
}

func TestARealTerminalIsDrawnOn(t *testing.T) {
	t.Setenv("TERM", "xterm")
	far, near := terminal(t, Size{Columns: 10, Rows: 3})
	s := New(near)
	if !s.InPlace() {
		t.Fatal("it is not taken for a terminal")
	}
	if err := s.Show("0123456789abc\n2\n3\n"); err != nil {
		t.Fatal(err)
	}
	// A terminal begins each line at its left.
	want := strings.ReplaceAll(eraseAll+home+eraseLine+"0123456789\n"+eraseLine+"... and 2 \n"+eraseBelow, "\n", "\r\n")
	got := make([]byte, len(want))
	for n := 0; n < len(got); {
		more, err := far.Read(got[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += more
	}
	if string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	t.Setenv("TERM", "dumb")
	if New(near).InPlace() {
		t.Error("a dumb terminal is drawn on")
	}
}
