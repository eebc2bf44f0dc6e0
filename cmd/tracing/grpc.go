// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"path"
	"slices"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// untraced are the calls that nobody asks for: looks at a pod every few seconds, and
// streams that last as long as a pod does.
var untraced = []string{"Status", "Watch"}

func (p *Provider) grpcOptions() []otelgrpc.Option {
	return []otelgrpc.Option{
		otelgrpc.WithTracerProvider(p),
		otelgrpc.WithPropagators(propagation.TraceContext{}),
		otelgrpc.WithFilter(func(call *stats.RPCTagInfo) bool {
			return !slices.Contains(untraced, path.Base(call.FullMethodName))
		}),
	}
}

// DialOptions are for clients of data-plane pods; none where tracing is off.
func (p *Provider) DialOptions() []grpc.DialOption {
	if p == nil {
		return nil
	}
	return []grpc.DialOption{grpc.WithStatsHandler(otelgrpc.NewClientHandler(p.grpcOptions()...))}
}

// ServerOptions are for the server of a data-plane pod; none where tracing is off.
func (p *Provider) ServerOptions() []grpc.ServerOption {
	if p == nil {
		return nil
	}
	return []grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler(p.grpcOptions()...))}
}
