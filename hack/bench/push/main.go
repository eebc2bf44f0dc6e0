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
	"syscall"
	"time"
)

// options say how much is done.
type options struct {
	pods, clients, changes int
	rate                   float64
	target                 time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.pods, "pods", 10, "data-plane pods of the proxy")
	flag.IntVar(&o.clients, "clients", 5000, "open connections")
	flag.Float64Var(&o.rate, "rate", 0.2, "messages per second and connection")
	flag.IntVar(&o.changes, "changes", 100, "changes of the settings, each after the one before was acknowledged; at most 100")
	flag.DurationVar(&o.target, "target", time.Second, "what the median has to be under")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "push:", err)
		os.Exit(1)
	}
}

// run measures and prints. Errors: what kept it from measuring, a connection that was
// closed, a message that was lost, a pod that was replaced, a push too many and a
// target that is missed.
func run(ctx context.Context, o options) error {
	// maxRetries, one of the settings that are changed, is at most 100.
	if o.pods < 1 || o.clients < 1 || o.changes < 1 || o.changes > 100 {
		return errors.New("at least one pod, one client and one change, and at most 100 changes")
	}
	c, err := newCluster(ctx, o)
	if err != nil {
		return err
	}
	// Also when ctx is over.
	defer c.close(context.WithoutCancel(ctx))
	found, err := c.measure(ctx)
	if err != nil {
		return err
	}
	fmt.Print(found)
	return found.check(o)
}
