// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/stat: USER_HZ is 100 on everything that Go runs on.
const tick = time.Second / 100

// parseBusy returns the time that all cores together were not idle, from the
// contents of /proc/stat. Time that the hypervisor gave to others counts as busy:
// we did not get it.
func parseBusy(stat []byte) (time.Duration, error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := strings.Fields(string(line))
	// cpu user nice system idle iowait irq softirq steal guest guest_nice (proc(5)); guests are part of user and nice.
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("parse /proc/stat: %q is not its first line", line)
	}
	var busy time.Duration
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("parse /proc/stat: %w", err)
		}
		busy += time.Duration(n) * tick
	}
	return busy, nil
}

// parseGroup returns the process group from the contents of /proc/PID/stat. The
// name of the program is in parentheses and may hold some itself.
func parseGroup(stat []byte) (int, error) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, errors.New("parse /proc/PID/stat: no name of a program")
	}
	// state ppid pgrp
	fields := bytes.Fields(stat[end+1:])
	if len(fields) < 3 {
		return 0, errors.New("parse /proc/PID/stat: it is cut off")
	}
	group, err := strconv.Atoi(string(fields[2]))
	if err != nil {
		return 0, fmt.Errorf("parse /proc/PID/stat: %w", err)
	}
	return group, nil
}

// parseField returns a value in bytes from the lines "Name:   123 kB" of
// /proc/meminfo and /proc/PID/smaps_rollup.
func parseField(content []byte, name string) (int64, error) {
	for line := range bytes.Lines(content) {
		value, found := bytes.CutPrefix(line, []byte(name+":"))
		if !found {
			continue
		}
		kilobytes, found := strings.CutSuffix(string(bytes.TrimSpace(value)), " kB")
		if !found {
			return 0, fmt.Errorf("parse %s: %q is not in kB", name, line)
		}
		n, err := strconv.ParseInt(kilobytes, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("parse %s: %w", name, err)
		}
		return n << 10, nil
	}
	return 0, fmt.Errorf("there is no field %s", name)
}
