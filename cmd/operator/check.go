// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/operator/check"
	"github.com/wsproxy/wsproxy/cmd/version"
)

// runCheck is `operator check`: helm test. It is in the image of the operator so that
// a mirror of the images needs no further one.
func runCheck(ctx context.Context, arguments []string, out io.Writer) error {
	options := check.Options{Out: out}
	set := flag.NewFlagSet("operator check", flag.ContinueOnError)
	set.StringVar(&options.Namespace, "namespace", os.Getenv(dataplanev1alpha1.EnvPodNamespace),
		"namespace in which a proxy is made and removed (default: environment variable "+dataplanev1alpha1.EnvPodNamespace+")")
	set.StringVar(&options.Name, "name", "wsproxy-check", "name of that proxy")
	set.BoolVar(&options.API, "api", true, "look for the connection in the Kubernetes API, and end it there")
	set.DurationVar(&options.Step, "step-timeout", time.Minute, "how long each step may take")
	address := set.String("address", "", "IP address at which data-plane pods reach this process (required)")
	port := set.Uint("port", 8080, "port at that address; 0: any")
	config.RegisterFlags(set)
	if err := set.Parse(arguments); err != nil {
		return err
	}
	switch {
	case set.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", set.Arg(0))
	case net.ParseIP(*address) == nil:
		return errors.New("--address must be an IP address")
	case options.Namespace == "":
		return errors.New("--namespace is required where " + dataplanev1alpha1.EnvPodNamespace + " is not set")
	case options.Step <= 0:
		return errors.New("--step-timeout must be positive")
	}
	log.SetLogger(logr.Discard())
	rest, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	rest.UserAgent = "wsproxy-check/" + version.Number()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), wsproxyv1alpha1.AddToScheme(scheme), connectionsv1alpha1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("scheme: %w", err)
	}
	if options.Client, err = client.New(rest, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	if options.Listener, err = new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(*address, strconv.FormatUint(uint64(*port), 10))); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return check.Run(ctx, options)
}
