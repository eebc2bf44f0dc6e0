// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

type flags struct {
	fleet.Options
	duration   time.Duration
	report     string
	expectOpen bool
	expectAll  bool
}

func main() {
	var f flags
	flag.StringVar(&f.URL, "url", "", "ws or wss URL of the echo (required)")
	flag.IntVar(&f.Connections, "connections", 20, "number of clients")
	flag.Float64Var(&f.Rate, "rate", 2, "messages per second and client; 0: silent clients")
	flag.IntVar(&f.Size, "size", 64, "bytes of a message")
	flag.DurationVar(&f.Ramp, "ramp", time.Second, "time over which the clients connect")
	flag.DurationVar(&f.Settle, "settle", 10*time.Second, "how long to wait for outstanding echoes at the end, and again for close frames")
	flag.DurationVar(&f.duration, "duration", 0, "how long to talk; 0: until SIGINT or SIGTERM")
	flag.StringVar(&f.report, "report", "", "file for the record of every client, as JSON")
	flag.BoolVar(&f.expectOpen, "expect-open", false, "exit 1 where a client was not let in or did not stay open to the end")
	flag.BoolVar(&f.expectAll, "expect-all", false, "exit 1 where a message was lost, doubled, out of order or damaged")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, f, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// run talks until ctx ends or the duration is over. Errors: unusable flags, a
// report that cannot be written, and what was expected and did not happen.
func run(ctx context.Context, f flags, out io.Writer) error {
	if f.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.duration)
		defer cancel()
	}
	clients, err := fleet.Start(ctx, f.Options)
	if err != nil {
		return err
	}
	watch(ctx, clients, out)
	report := clients.Stop(context.WithoutCancel(ctx))
	summarize(report, out)
	var errs []error
	if f.report != "" {
		errs = append(errs, write(f.report, report))
	}
	if f.expectOpen && report.CheckOpen() != nil {
		errs = append(errs, fleet.ErrClosed) // The summary has said which and why.
	}
	if f.expectAll {
		errs = append(errs, report.CheckAll())
	}
	return errors.Join(errs...)
}

// watch prints a line each second until ctx ends or no client is left, and one for
// each client that was closed since the last, as that client tells it.
func watch(ctx context.Context, clients *fleet.Fleet, out io.Writer) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	told := told{closed: map[int]bool{}, failures: map[string]bool{}}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-second.C:
			totals := clients.Totals()
			if totals.ClosedEarly > len(told.closed) || totals.Failed > told.failed {
				told.tell(clients.Report(), out)
			}
			fmt.Fprintln(out, now.Format(time.TimeOnly), totals)
			if totals.Over {
				return
			}
		}
	}
}

// told is what was printed before.
type told struct {
	closed   map[int]bool
	failures map[string]bool
	failed   int
}

// tell prints a line for each client that was closed since it was last called, and
// one for each new reason why clients were not let in.
func (t *told) tell(r *fleet.Report, out io.Writer) {
	t.failed = r.Totals.Failed
	for _, record := range r.Records {
		switch at := record.Closed.Format(time.TimeOnly); {
		case record.Failure != "" && !t.failures[record.Failure]:
			t.failures[record.Failure] = true
			fmt.Fprintf(out, "%s client %d: %s\n", at, record.Number, record.Failure)
		case record.Early && !t.closed[record.Number]:
			t.closed[record.Number] = true
			fmt.Fprintf(out, "%s client %d, connection %s: closed with code %d %q\n", at, record.Number, record.ID, record.Code, record.Reason)
		}
	}
}

// summarize says what happened, with the ends of the connections grouped.
func summarize(r *fleet.Report, out io.Writer) {
	t := r.Totals
	fmt.Fprintf(out, "\n%d clients, %s\n", t.Wanted, r.Ended.Sub(r.Started).Round(time.Second/10))
	fmt.Fprintf(out, "  connections  %d opened, %d failed, %d closed early\n", t.Opened, t.Failed, t.ClosedEarly)
	fmt.Fprintf(out, "  messages     %d sent, %d received, %d missing, %d duplicated, %d out of order, %d foreign\n",
		t.Sent, t.Received, t.Missing, t.Duplicated, t.OutOfOrder, t.Foreign)
	fmt.Fprintf(out, "  echoes       half within %s, 99 %% within %s, longest %s\n", t.Median, t.P99, t.Longest.Round(time.Microsecond))
	fmt.Fprintf(out, "  pings        %d\n", t.Pings)
	for _, pod := range slices.Sorted(maps.Keys(r.Pods)) {
		fmt.Fprintf(out, "  pod          %s had %d of the connections\n", pod, r.Pods[pod])
	}
	type end struct {
		by, reason string
		code       int
	}
	ends := map[end]int{}
	for _, record := range r.Records {
		switch {
		case record.Failure != "":
			ends[end{by: "not opened", reason: record.Failure}]++
		case record.Early:
			ends[end{by: "closed early", code: record.Code, reason: record.Reason}]++
		default:
			ends[end{by: "closed by us", code: record.Code, reason: record.Reason}]++
		}
	}
	most := func(a, b end) int {
		return cmp.Or(cmp.Compare(ends[b], ends[a]), cmp.Compare(a.by, b.by), cmp.Compare(a.code, b.code), cmp.Compare(a.reason, b.reason))
	}
	for _, e := range slices.SortedFunc(maps.Keys(ends), most)[:min(len(ends), 10)] {
		if e.code == 0 { // A failed handshake, which has no code.
			fmt.Fprintf(out, "  end          %d x %s: %s\n", ends[e], e.by, e.reason)
			continue
		}
		fmt.Fprintf(out, "  end          %d x %s %d %q\n", ends[e], e.by, e.code, e.reason)
	}
}

func write(path string, r *fleet.Report) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.WriteFile(path, append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
