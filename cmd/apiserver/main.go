// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command apiserver serves live connections as objects of the Kubernetes API.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
	"google.golang.org/grpc/grpclog"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register"            // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/restclient" // requests to the kube-apiserver in /metrics
	"k8s.io/klog/v2"

	"github.com/wsproxy/wsproxy/cmd/tracing"
	"github.com/wsproxy/wsproxy/cmd/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, pflag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "apiserver:", err)
		os.Exit(1)
	}
}

// run is the server until ctx ends.
func run(ctx context.Context, arguments []string, out io.Writer) error {
	o, err := parse(arguments, out)
	if err != nil {
		return err
	}
	if o.version {
		_, err := fmt.Fprintln(out, version.Line("apiserver"))
		return err
	}
	if err := logsapi.ValidateAndApply(o.logging, nil); err != nil {
		return err
	}
	if err := o.complete(); err != nil {
		return err
	}
	// k8s.io/apiserver makes gRPC log each attempt to reach a pod. Who asks is told
	// which pods did not answer.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, os.Stderr))
	config, err := o.config()
	if err != nil {
		return err
	}
	spans, err := tracing.Start(ctx, o.tracing, "apiserver", version.Number(), klog.Background())
	if err != nil {
		return err
	}
	if spans != nil {
		config.Generic.TracerProvider = spans // which it shuts down
		config.Fleet.GRPC = spans.DialOptions()
	}
	server, err := config.Complete() //nolint:contextcheck // Streams of pods end with the fleet, which ends with Run.
	if err != nil {
		return err
	}
	if o.metricsAddress != "0" {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.metricsAddress)
		if err != nil {
			return fmt.Errorf("serve metrics: %w", err)
		}
		defer serveMetrics(listener, server.Metrics)()
	}
	klog.InfoS("apiserver starts", "version", version.Number(), "port", o.serving.BindPort)
	err = server.Run(ctx)
	klog.InfoS("apiserver ends")
	klog.Flush()
	return err
}
