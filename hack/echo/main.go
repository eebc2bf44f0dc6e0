// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/wsproxy/wsproxy/cmd/version"
)

// goodbye bounds the whole of a polite end. It is far below the 30 s that
// Kubernetes grants by default, so that a rollout is quick.
const goodbye = 3 * time.Second

func main() {
	address := flag.String("listen-address", ":8080", "host and port to listen on")
	tell := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if *tell {
		fmt.Println(version.Line("echo"))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *address); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, then says goodbye to every connection.
func run(ctx context.Context, address string) error {
	name, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("read host name: %w", err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	connections := newConnections(name)
	server := &http.Server{Handler: connections.handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	slog.Info("listening", "address", listener.Addr().String(), "name", name)

	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	slog.Info("saying goodbye", "connections", connections.count())
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	// Shutdown closes the listener first and knows nothing of the WebSockets,
	// whose connections were taken from it.
	err = errors.Join(server.Shutdown(deadline), connections.goodbye(deadline))
	slog.Info("gone", "unanswered", connections.unanswered.Load(), "error", err)
	return err
}
