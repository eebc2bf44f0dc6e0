// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseBusy(t *testing.T) {
	got, err := parseBusy([]byte("cpu  100 20 300 4000 500 6 70 8 90 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n"))
	if want := (100 + 20 + 300 + 6 + 70 + 8) * 10 * time.Millisecond; err != nil || got != want {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"", "intr 1 2 3 4 5 6 7 8 9", "cpu 1 2 3", "cpu 1 2 x 4 5 6 7 8 9"} {
		if _, err := parseBusy([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestParseGroup(t *testing.T) {
	got, err := parseGroup([]byte("77 (nginx: (worker) 1 2) S 76 75 74 0 -1 4194304"))
	if err != nil || got != 75 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "77 nginx S 76 75", "77 (nginx) S 76", "77 (nginx) S 76 x 1"} {
		if _, err := parseGroup([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestParseField(t *testing.T) {
	content := []byte("7ffe-7fff ---p 00000000 00:00 0   [rollup]\nRss:    1728 kB\nPss:     259 kB\nPss_Dirty:  112 kB\nOdd: 3\nBad: x kB\n")
	if got, err := parseField(content, "Pss"); err != nil || got != 259<<10 {
		t.Errorf("%v, %v", got, err)
	}
	for _, name := range []string{"Swap", "Odd", "Bad"} {
		if _, err := parseField(content, name); err == nil {
			t.Errorf("%s was found", name)
		}
	}
}

// start runs a shell script until the test is over.
func start(t *testing.T, script string) *Group {
	t.Helper()
	g, err := Start(t.Context(), Command{Args: []string{"sh", "-c", script}, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	return g
}

func TestAGroupCountsItsChildren(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip(err)
	}
	g := start(t, "(while :; do :; done) & wait")
	// The child is the one who works.
	for deadline := time.Now().Add(20 * time.Second); ; {
		if err := g.Refresh(); err != nil {
			t.Fatal(err)
		}
		cpu, err := g.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if len(g.members()) == 2 && cpu > 50*time.Millisecond {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("processes %v have used %v", g.members(), cpu)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if pss, err := g.PSS(); err != nil || pss < 4096 {
		t.Errorf("PSS %d, %v", pss, err)
	}
	child := g.members()[0]
	if child == g.cmd.Process.Pid {
		child = g.members()[1]
	}
	g.Stop()
	// The child is not ours to wait for, so it may be a zombie for a while.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the child outlived its group: %s", stat)
		}
	}
}

func TestAProgramThatEndedSaysWhy(t *testing.T) {
	g := start(t, "echo no such port >&2; exit 1")
	<-g.Done()
	if err := g.Refresh(); err == nil || !strings.Contains(err.Error(), "no such port") {
		t.Errorf("it ended with %v", err)
	}
}

func TestTheMachineIsBusy(t *testing.T) {
	if busy, err := Busy(); err != nil || busy <= 0 {
		t.Errorf("%v, %v", busy, err)
	}
	if bytes, err := KernelMemory(); err != nil || bytes <= 0 {
		t.Errorf("%v, %v", bytes, err)
	}
	if cpu, err := CPUOf(os.Getpid()); err != nil || cpu <= 0 {
		t.Errorf("%v, %v", cpu, err)
	}
}
