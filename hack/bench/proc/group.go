// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Command is a program to start.
type Command struct {
	Args []string
	// Env is added to ours.
	Env []string
	// Log is the file that gets what it prints.
	Log string
	// Stdin and Stdout, nil for none; Stdout then goes to Log.
	Stdin  io.Reader
	Stdout io.Writer
}

// Group is a program that runs, with all the processes that it started.
type Group struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when the first process has ended

	// mu guards pids, the processes of the group when they were last looked up.
	mu   sync.Mutex
	pids []int
}

// Start starts a program in a process group of its own. It runs until Stop is
// called or ctx ends.
func Start(ctx context.Context, c Command) (*Group, error) {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()                                                                                           // The program has it by then.
	g := &Group{cmd: exec.CommandContext(ctx, c.Args[0], c.Args[1:]...), log: c.Log, done: make(chan struct{})} // #nosec G204 -- starting programs is its purpose.
	g.cmd.Env = append(os.Environ(), c.Env...)
	g.cmd.Stdin, g.cmd.Stdout, g.cmd.Stderr = c.Stdin, c.Stdout, log
	if c.Stdout == nil {
		g.cmd.Stdout = log
	}
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	g.cmd.Cancel = func() error { return syscall.Kill(-g.cmd.Process.Pid, syscall.SIGKILL) }
	g.cmd.WaitDelay = time.Second // A worker may still hold the pipes.
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	go func() {
		_ = g.cmd.Wait() // Whoever needs it finds the reason in the log.
		close(g.done)
	}()
	return g, nil
}

// Stop kills all processes of the group and waits for the first of them.
func (g *Group) Stop() {
	_ = syscall.Kill(-g.cmd.Process.Pid, syscall.SIGKILL) // It may be gone.
	<-g.done
}

// Done is closed when the program has ended.
func (g *Group) Done() <-chan struct{} { return g.done }

// Ended returns an error that says how the program ended and what it said last.
func (g *Group) Ended() error {
	content, _ := os.ReadFile(g.log) // Without it there is less to say.
	text := strings.TrimSpace(string(content))
	if last := 400; len(text) > last {
		text = "…" + text[len(text)-last:]
	}
	return fmt.Errorf("%s has ended: %s", g.cmd.Args[0], text)
}

// Refresh looks up which processes belong to the group.
func (g *Group) Refresh() error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue // It has ended meanwhile.
		}
		if group, err := parseGroup(stat); err == nil && group == g.cmd.Process.Pid {
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		return g.Ended()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pids = pids
	return nil
}

func (g *Group) members() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pids
}

// CPU returns the user and system time of the processes that Refresh found, with
// that of threads that have ended, to the nanosecond.
func (g *Group) CPU() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range g.members() {
		cpu, err := CPUOf(pid)
		if err != nil {
			return 0, errors.Join(err, g.Ended())
		}
		sum += cpu
	}
	return sum, nil
}

// PSS returns the proportional set size of all processes of the group in bytes:
// a page that n processes share counts 1/n in each, so the sum is what the group
// takes.
func (g *Group) PSS() (int64, error) {
	if err := g.Refresh(); err != nil {
		return 0, err
	}
	var sum int64
	for _, pid := range g.members() {
		pss, err := PSSOf(pid)
		if err != nil {
			return 0, err
		}
		sum += pss
	}
	return sum, nil
}
