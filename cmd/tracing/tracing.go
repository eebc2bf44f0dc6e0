// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Options are what the flags of a program say.
type Options struct {
	// Endpoint is host and port of a collector that speaks OTLP over gRPC, without TLS;
	// empty: tracing is off.
	Endpoint string
	// Ratio is how much of the traces is exported, 0 to 1.
	Ratio float64
}

// The flags, in all programs.
const (
	FlagEndpoint  = "tracing-endpoint"
	UsageEndpoint = "`host:port` of a collector of traces (OTLP over gRPC, without TLS); empty: nothing is traced"
	FlagRatio     = "tracing-sampling-ratio"
	UsageRatio    = "how much of the traces is exported, `0 to 1`; what the caller does not export is not exported in any case"
	DefaultRatio  = 1.0
)

// Check says what is wrong with the options.
func (o Options) Check() error {
	if o.Ratio < 0 || o.Ratio > 1 || o.Ratio != o.Ratio {
		return fmt.Errorf("--%s: %v: must be from 0 to 1", FlagRatio, o.Ratio)
	}
	if o.Endpoint == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(o.Endpoint)
	if err == nil && (host == "" || port == "") {
		err = errors.New("must be host:port")
	}
	if err != nil {
		return fmt.Errorf("--%s: %q: %w", FlagEndpoint, o.Endpoint, err)
	}
	return nil
}

// stopTimeout is how long the last spans may take to be exported.
const stopTimeout = 2 * time.Second

// Provider exports spans. A nil Provider is one that is off.
type Provider struct{ *sdktrace.TracerProvider }

// Start returns a Provider for a program, nil where tracing is off. Nothing waits for
// the collector: while it is away, spans are dropped, and the log says so.
func Start(ctx context.Context, options Options, program, version string, logger logr.Logger) (*Provider, error) {
	if options.Endpoint == "" {
		return nil, nil
	}
	// Of its own accord it writes lines to stderr that are not of the log.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Error(err, "Spans were not exported") }))
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(options.Endpoint), otlptracegrpc.WithInsecure())
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	// What OTEL_RESOURCE_ATTRIBUTES says comes on top, and counts.
	of, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "wsproxy-"+program), attribute.String("service.version", version)),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	return &Provider{sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sampler(options.Ratio)),
		sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(of),
	)}, nil
}

// sampler exports a share of the traces that is decided by their ids, so that all
// programs decide the same. A caller who does not export a trace is obeyed. One who
// does is not: clients of a proxy may be traced all the time. Who makes up ids that are
// in the share gets it all the same.
func sampler(ratio float64) sdktrace.Sampler {
	share := sdktrace.TraceIDRatioBased(ratio)
	return sdktrace.ParentBased(share, sdktrace.WithRemoteParentSampled(share))
}

// DataplaneTracer makes the spans of a data plane; nil where tracing is off.
func (p *Provider) DataplaneTracer() trace.Tracer {
	if p == nil {
		return nil
	}
	return p.Tracer("github.com/wsproxy/wsproxy/dataplane")
}

// Shutdown exports what is left, for a while: what cannot be exported is lost.
func (p *Provider) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	return p.TracerProvider.Shutdown(ctx)
}

// Stop is Shutdown for a program that ends, and for a Provider that is off.
func (p *Provider) Stop() {
	if p != nil {
		_ = p.Shutdown(context.Background()) // There is nobody to be told.
	}
}
