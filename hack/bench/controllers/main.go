// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// perPod is how many connections a pod is to have at most: each is two of the files
// that it may have open.
const perPod = 8000

// options say how much is done.
type options struct {
	connections, rounds, doomed int
	settle, window              time.Duration
	growth                      float64
	state, hold                 string
}

// pods of the proxy.
func (o *options) pods() int { return (o.connections + perPod - 1) / perPod }

func main() {
	var o options
	flag.IntVar(&o.connections, "connections", 50_000, "open connections")
	flag.IntVar(&o.rounds, "rounds", 2, "windows of each kind")
	flag.DurationVar(&o.settle, "settle", 20*time.Second, "how long a new kube-controller-manager is left alone before a window begins")
	flag.DurationVar(&o.window, "window", time.Minute, "length of a window")
	flag.IntVar(&o.doomed, "doomed", 1000, "connections in the namespace that is deleted")
	flag.Float64Var(&o.growth, "growth", 1.2, "how much more CPU time and memory there may be with connections than without")
	flag.StringVar(&o.state, "state", "", "folder of the local cluster (/var/tmp/wsproxy-cluster/NAME)")
	flag.StringVar(&o.hold, "hold", "", "open connections to this URL and hold them until standard input ends; for this program itself")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	do := func() error { return run(ctx, o) }
	if o.hold != "" {
		do = func() error { return hold(ctx, o.hold, o.connections, os.Stdin, os.Stdout) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "controllers:", err)
		os.Exit(1)
	}
}

// run measures and prints. Errors: what kept it from measuring, and what is not as
// promised.
func run(ctx context.Context, o options) error {
	if o.connections < 1 || o.rounds < 1 || o.doomed < 2 || o.window <= 0 || o.settle < 0 {
		return errors.New("at least one connection, one round, two connections in the namespace and a window")
	}
	c, err := newCluster(ctx, o)
	if err != nil {
		return err
	}
	// Also when ctx is over.
	defer c.close(context.WithoutCancel(ctx))
	m, err := findManager(o.state, c.rest)
	if err != nil {
		return err
	}
	f := &findings{options: o}
	err = c.measure(ctx, m, f)
	fmt.Print(f)
	return errors.Join(err, f.check())
}

// measure looks with connections, without, and so on, each time with both kinds of
// credentials, of which the one that was last is the first then.
func (c *cluster) measure(ctx context.Context, m *manager, f *findings) error {
	kinds := []bool{false, true}
	for range c.rounds {
		say("%d connections", c.connections)
		clients, err := c.connect(ctx)
		if clients != nil {
			// A second release does no harm.
			defer func() { _ = clients.release() }()
		}
		if err != nil {
			return err
		}
		if err := c.holds(ctx, c.connections); err != nil {
			return err
		}
		slices.Reverse(kinds)
		for _, kind := range kinds {
			w, err := c.look(ctx, m, c.connections, kind)
			if err != nil {
				return err
			}
			f.windows = append(f.windows, w)
			d, err := c.deletes(ctx, c.connections, kind)
			if err != nil {
				return err
			}
			f.deletions = append(f.deletions, d)
		}
		if err := c.holds(ctx, c.connections); err != nil {
			return err
		}
		if err := clients.release(); err != nil {
			return err
		}
		if err := c.holds(ctx, 0); err != nil {
			return err
		}
		slices.Reverse(kinds)
		for _, kind := range kinds {
			w, err := c.look(ctx, m, 0, kind)
			if err != nil {
				return err
			}
			f.windows = append(f.windows, w)
		}
	}
	return nil
}

var begun = time.Now()

// say prints a line of progress.
func say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "%4.0fs  %s\n", time.Since(begun).Seconds(), fmt.Sprintf(format, arguments...))
}
