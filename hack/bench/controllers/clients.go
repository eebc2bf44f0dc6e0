// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// hold is what a process does that has clients of its own, because each may have only
// so many files open: it opens them, says so, and lets go of them when its standard
// input ends. The error says that one of them was not let in or did not stay open.
func hold(ctx context.Context, url string, connections int, stdin io.Reader, stdout io.Writer) error {
	var all []*fleet.Fleet
	for left := connections; left > 0; left -= atOnce {
		clients, err := fleet.Start(ctx, fleet.Options{URL: url, Connections: min(left, atOnce), Settle: time.Minute})
		if err != nil {
			return err
		}
		if err := clients.Opened(ctx); err != nil {
			return err
		}
		all = append(all, clients)
	}
	fmt.Fprintln(stdout, opened)
	_, _ = io.Copy(io.Discard, stdin) // Nothing is said.
	var errs []error
	for _, clients := range all {
		errs = append(errs, clients.Stop(ctx).CheckOpen())
	}
	return errors.Join(errs...)
}

const (
	// atOnce clients make their handshakes with a pod at a time, as fast as they are
	// answered: a machine that is busy takes longer, and none waits for too long.
	atOnce = 100
	opened = "opened"
)

// clients are processes that hold connections.
type clients struct{ held []*held }

type held struct {
	command *exec.Cmd
	release io.Closer
	failure strings.Builder
}

// connect opens silent connections to the pods, and returns when all are open.
func (c *cluster) connect(ctx context.Context) (*clients, error) {
	urls, err := c.addresses(ctx, namespace)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	all := &clients{}
	said := make(chan error, len(urls))
	for i, url := range urls {
		n := c.connections / len(urls)
		if i < c.connections%len(urls) {
			n++
		}
		h := &held{command: exec.CommandContext(ctx, self, "-hold", url, "-connections", fmt.Sprint(n))} // #nosec G204 -- it is this program.
		h.command.Stderr = &h.failure
		if h.release, err = h.command.StdinPipe(); err != nil {
			return all, err
		}
		out, err := h.command.StdoutPipe()
		if err != nil {
			return all, err
		}
		if err := h.command.Start(); err != nil {
			return all, err
		}
		all.held = append(all.held, h)
		go func() {
			line, err := bufio.NewReader(out).ReadString('\n')
			if err == nil && strings.TrimSpace(line) != opened {
				err = fmt.Errorf("the clients of %s say %q", url, line)
			}
			said <- err
		}()
	}
	for range urls {
		err = errors.Join(err, <-said)
	}
	if err != nil {
		return all, errors.Join(err, all.release())
	}
	return all, nil
}

// release lets go of all connections. The error says that one was not open to the end.
func (c *clients) release() error {
	var errs []error
	for _, h := range c.held {
		_ = h.release.Close() // It may have ended.
	}
	for _, h := range c.held {
		if err := h.command.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("clients: %w: %s", err, strings.TrimSpace(h.failure.String())))
		}
	}
	c.held = nil
	return errors.Join(errs...)
}
