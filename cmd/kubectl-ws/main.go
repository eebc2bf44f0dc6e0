// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-ws is a plugin of kubectl, kubectl ws: it lists live WebSocket
// connections with what they do at the moment, ends them, sends to them, and says why
// one has ended and which settings are in force.
package main

import (
	"context"
	"os"
	"os/signal"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	// A second interrupt ends the process at once.
	context.AfterFunc(ctx, stop)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(command.Run(ctx, streams, os.Args[1:]))
}
