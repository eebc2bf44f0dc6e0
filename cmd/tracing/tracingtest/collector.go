// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tracingtest has a collector of traces for tests. It knows nothing of who
// sends them.
package tracingtest

import (
	"context"
	"encoding/hex"
	"net"
	"sync"
	"testing"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// Span is one that was exported.
type Span struct {
	Service, Name     string
	Trace, ID, Parent string // in hexadecimal
	Kind              tracev1.Span_SpanKind
	Status            tracev1.Status_StatusCode
	Attributes        map[string]string // those that are texts
	Links             int
}

// Collector takes spans by OTLP over gRPC.
type Collector struct {
	// Address is where it listens.
	Address string

	collectorv1.UnimplementedTraceServiceServer

	mu    sync.Mutex
	spans []Span // guarded by mu
}

// Start starts a collector, which ends with the test.
func Start(t testing.TB) *Collector {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &Collector{Address: l.Addr().String()}
	server := grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, c)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // It ends with Stop.
	}()
	t.Cleanup(func() {
		server.Stop()
		<-ended
	})
	return c
}

// Export implements the collector's protocol.
func (c *Collector) Export(_ context.Context, r *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range r.GetResourceSpans() {
		service := ""
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, spanOf(service, s))
			}
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

func spanOf(service string, s *tracev1.Span) Span {
	attributes := map[string]string{}
	for _, a := range s.GetAttributes() {
		if text := a.GetValue().GetStringValue(); text != "" {
			attributes[a.GetKey()] = text
		}
	}
	return Span{
		Service: service, Name: s.GetName(), Kind: s.GetKind(), Status: s.GetStatus().GetCode(), Attributes: attributes, Links: len(s.GetLinks()),
		Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
	}
}

// Spans returns what came so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}
