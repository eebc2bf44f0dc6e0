// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/wsproxy/wsproxy/cmd/tracing"
	"github.com/wsproxy/wsproxy/cmd/version"
	"github.com/wsproxy/wsproxy/controllers"
)

// The requests per second to the API server that the operator keeps to, and how
// many it may send at once: each proxy that is made takes about ten. API priority
// and fairness protects the API server from more.
const (
	requestsPerSecond = 200
	requestsBurst     = 400
)

// run is the operator until ctx ends, or what its first argument asks for instead.
func run(ctx context.Context, arguments []string, out io.Writer) error {
	if len(arguments) > 0 && arguments[0] == "check" {
		return runCheck(ctx, arguments[1:], out)
	}
	f, err := parse(arguments)
	if err != nil {
		return err
	}
	if f.version {
		_, err := fmt.Fprintln(out, version.Line("operator"))
		return err
	}
	logger := zap.New(zap.UseFlagOptions(&f.log))
	log.SetLogger(logger)

	rest, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	rest.QPS, rest.Burst, rest.UserAgent = requestsPerSecond, requestsBurst, "wsproxy-operator/"+version.Number()
	scheme, err := controllers.Scheme()
	if err != nil {
		return err
	}
	m, err := manager.New(rest, manager.Options{
		Scheme:                  scheme,
		Logger:                  logger,
		Cache:                   controllers.CacheOptions(f.namespace, f.watched),
		Metrics:                 server.Options{BindAddress: f.metricsAddress},
		HealthProbeBindAddress:  f.healthAddress,
		LeaderElection:          f.leaderElect,
		LeaderElectionID:        controllers.Name,
		LeaderElectionNamespace: f.namespace,
		// The process ends right after the manager does.
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return fmt.Errorf("make manager: %w", err)
	}
	if err := m.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	if err := m.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	spans, err := tracing.Start(ctx, f.tracing, "operator", version.Number(), logger)
	if err != nil {
		return err
	}
	defer spans.Stop() //nolint:contextcheck // The last spans are exported when ctx has ended.
	if _, err := controllers.Setup(ctx, m, controllers.Options{
		Namespace:       f.namespace,
		Watched:         f.watched,
		Image:           f.image,
		Certificates:    f.certificates,
		AuthoritySecret: f.authority,
		NetworkPolicies: f.policies,
		DefaultClass:    f.defaultClass,

		MaxConcurrentProxies: f.maxConcurrent,
		Registerer:           metrics.Registry,
		Version:              version.Number(),

		GRPC:          spans.DialOptions(),
		DataplaneArgs: f.dataplaneArgs(),
	}); err != nil {
		return err
	}
	logger.Info("operator starts", "version", version.Number(), "namespace", f.namespace, "dataplaneImage", f.image)
	if err := m.Start(ctx); err != nil {
		return fmt.Errorf("run manager: %w", err)
	}
	logger.Info("operator ends")
	return nil
}
