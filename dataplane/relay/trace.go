// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
)

// trace begins the span of an admitted client's handshake, unless nothing is traced.
// It is in the returned context, and in the head: for every upstream, a later one
// too, it is the parent. That of the span itself is what the client says.
func (c *conn) trace(ctx context.Context, head *handshake.Head) context.Context {
	tracer := c.server.Tracer
	if tracer == nil {
		return ctx
	}
	ctx, span := tracer.Start(head.ExtractTrace(ctx), "WebSocket handshake", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithTimestamp(driver.Wall(c.connectedAt)),
		trace.WithAttributes(
			attribute.String("wsproxy.connection", c.id().Name()),
			attribute.String("client.address", c.client.String()),
			attribute.String("url.path", c.path),
		))
	head.SetTrace(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passingLocked().span = span
	return ctx
}

// traceAgain is trace for a handshake that somebody else goes on with.
func (c *conn) traceAgain(ctx context.Context) context.Context {
	if span := c.takeSpan(false); span != nil {
		return trace.ContextWithSpan(ctx, span)
	}
	return ctx
}

// takeSpan returns the span of the handshake; nil where there is none or it was taken.
func (c *conn) takeSpan(away bool) trace.Span {
	if c.server.Tracer == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.passing == nil {
		return nil
	}
	span := c.passing.span
	if away {
		c.passing.span = nil
	}
	return span
}

// answered tells the metrics how long the handshake of an admitted client took, and
// ends its span.
func (c *conn) answered(code int, reason handshake.Reason) {
	took, id := driver.Now().Sub(c.connectedAt), ""
	if span := c.takeSpan(true); span != nil {
		if of := span.SpanContext(); of.IsSampled() {
			id = of.TraceID().String()
		}
		endSpan(span, code, reason)
	}
	c.server.Metrics.Answered(code, took, id)
}

func endSpan(span trace.Span, code int, reason handshake.Reason) {
	span.SetAttributes(attribute.Int("http.response.status_code", code), attribute.String("wsproxy.reason", string(reason)))
	if code >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, string(reason))
	}
	span.End()
}
