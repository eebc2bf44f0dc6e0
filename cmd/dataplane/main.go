// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/go-logr/logr"

	"github.com/wsproxy/wsproxy/cmd/version"
)

func main() {
	// Nobody reads this profile, and it takes half a megabyte.
	runtime.MemProfileRate = 0
	ctx, hurry := signalled()
	if err := run(ctx, hurry, os.Args[1:], os.Getenv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "dataplane:", err)
		os.Exit(1)
	}
}

// signalled returns a context that ends with the first signal, which begins the
// drain, and one that ends with the second, which cuts it short. A third signal
// ends the process as it would end any other.
func signalled() (ctx, hurry context.Context) {
	ctx, drain := context.WithCancel(context.Background())
	hurry, cutShort := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-signals
		drain()
		<-signals
		signal.Stop(signals)
		cutShort()
	}()
	return ctx, hurry
}

// run is the program. It returns when everything has ended after ctx did, sooner
// after hurry did, or with what went wrong.
func run(ctx, hurry context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	o, err := parse(args, getenv, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case o.version:
		_, err := fmt.Fprintln(stdout, version.Line("dataplane"))
		return err
	}
	p, err := start(ctx, hurry, o, newLogger(o, stderr))
	if err != nil {
		return err
	}
	return p.serve(ctx)
}

func newLogger(o options, to io.Writer) logr.Logger {
	handlerOptions := &slog.HandlerOptions{Level: o.logLevel}
	if o.logFormat == "text" {
		return logr.FromSlogHandler(slog.NewTextHandler(to, handlerOptions))
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(to, handlerOptions))
}
