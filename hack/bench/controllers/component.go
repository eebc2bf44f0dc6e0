// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// component is a program of the cluster's control plane, of which this one makes new
// processes.
type component struct {
	// state is the folder of the cluster.
	state, name string
	arguments   []string
	env         []string
	pid         int
}

// findComponent finds the one that hack/cluster has started.
func findComponent(state, name string) (*component, error) {
	c := &component{state: state, name: name}
	raw, err := os.ReadFile(c.pidFile())
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", name, err)
	}
	if c.pid, err = strconv.Atoi(strings.TrimSpace(string(raw))); err != nil {
		return nil, err
	}
	if c.arguments, err = c.strings("cmdline"); err != nil {
		return nil, err
	}
	if c.env, err = c.strings("environ"); err != nil {
		return nil, err
	}
	if len(c.arguments) == 0 || filepath.Base(c.arguments[0]) != name {
		return nil, fmt.Errorf("process %d is %q, not %s", c.pid, c.arguments, name)
	}
	return c, nil
}

func (c *component) pidFile() string { return filepath.Join(c.state, "pids", c.name) }
func (c *component) logFile() string { return filepath.Join(c.state, "logs", c.name+".log") }

// strings reads texts that end with a zero from /proc.
func (c *component) strings(file string) ([]string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.pid, file))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.Trim(string(raw), "\x00"), "\x00"), nil
}

// restart ends the process and starts another, whose flags that begin like one of those
// given are replaced by them. It returns where the log of the new one begins.
func (c *component) restart(flags map[string]string) (from int64, err error) {
	if err := c.kill(); err != nil {
		return 0, err
	}
	log, err := os.OpenFile(c.logFile(), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	if from, err = log.Seek(0, io.SeekEnd); err != nil {
		return 0, err
	}
	arguments := slices.DeleteFunc(slices.Clone(c.arguments[1:]), func(a string) bool {
		name, _, _ := strings.Cut(a, "=")
		_, replaced := flags[name]
		return replaced
	})
	for name, value := range flags {
		arguments = append(arguments, name+"="+value)
	}
	// It outlives this program, as it did hack/cluster.
	command := exec.Command(c.arguments[0], arguments...) // #nosec G204 -- what ran before.
	command.Env, command.Stdout, command.Stderr = c.env, log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return 0, err
	}
	go func() { _ = command.Wait() }() // Whoever asks it finds out.
	c.pid = command.Process.Pid
	return from, os.WriteFile(c.pidFile(), fmt.Appendln(nil, c.pid), 0o600)
}

// kill ends it and waits until it is gone.
func (c *component) kill() error {
	if err := syscall.Kill(c.pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("end %s: %w", c.name, err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.pid))
		// There is none of one who is gone, and a zombie has none.
		if len(line) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not end", c.name)
		}
	}
}

// said is its log from a place on.
func (c *component) said(from int64) []byte {
	log, err := os.Open(c.logFile())
	if err != nil {
		return nil
	}
	defer log.Close()
	text, _ := io.ReadAll(io.NewSectionReader(log, from, 64<<20)) // What there is of it.
	return text
}
