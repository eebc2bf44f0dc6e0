// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/wsproxy/wsproxy/hack/bench/cases"
	"github.com/wsproxy/wsproxy/hack/bench/native"
	"github.com/wsproxy/wsproxy/hack/bench/peers"
	"github.com/wsproxy/wsproxy/hack/bench/results"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures and reports. What was measured before ctx ended is reported, too.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	}
	chosen, err := o.selectCases()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "wsproxy-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	programs, err := native.Build(ctx, work)
	if err != nil {
		return err
	}
	o.programs.Relay = programs.Relay
	if o.list {
		printList(stdout, chosen, peers.All(o.programs, o.variants))
		return nil
	}
	running, err := o.selectPeers(peers.All(o.programs, o.variants), func(p *peers.Peer, err error) {
		fmt.Fprintf(stderr, "left out, for it is not installed: %s (%v)\n", p.Name, err)
	})
	if err != nil {
		return err
	}
	// Logs of measurements that failed stay here.
	logs, err := filepath.Abs(filepath.Join(o.out, "failed"))
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(logs), os.MkdirAll(logs, 0o750)); err != nil {
		return err
	}
	set := &results.Set{About: about(ctx, o), Titles: map[string]string{}}
	for _, p := range running {
		set.Peers = append(set.Peers, p.Name)
		set.Titles[p.Name] = p.Title
		if p.Ours && p.Kind == peers.Plain {
			set.Ours = append(set.Ours, p.Name)
		}
	}
	for _, c := range chosen {
		set.Rows = append(set.Rows, c.Rows...)
	}
	r := &runner{
		options: o, cases: chosen, peers: running, set: set, progress: stderr,
		bench: &cases.Bench{Scale: o.Scale, Programs: programs, Dir: logs, Workers: runtime.NumCPU(), Isolated: o.isolated},
	}
	r.run(ctx)
	if err := write(o.out, set, chosen, stdout); err != nil {
		return err
	}
	if n := len(set.Failures); n > 0 {
		return fmt.Errorf("%d measurements failed; their logs are in %s", n, logs)
	}
	return ctx.Err()
}

func printList(to io.Writer, chosen []*cases.Case, all []*peers.Peer) {
	fmt.Fprintln(to, "figures")
	for _, c := range chosen {
		for _, row := range c.Rows {
			fmt.Fprintf(to, "  %-22s %s, %s\n", c.Name, row.Title, row.Unit)
		}
	}
	fmt.Fprintln(to, "peers")
	for _, p := range all {
		fmt.Fprintf(to, "  %-22s %s\n", p.Name, p.Title)
	}
}
