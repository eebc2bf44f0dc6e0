// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"context"
	"maps"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
)

// The fields of W3C Trace Context, in the form in which http.Header has them. Where
// nothing is traced they pass unchanged, as all others do.
const (
	headerTraceParent = "Traceparent"
	headerTraceState  = "Tracestate"
)

// ExtractTrace returns ctx with the span that a head says its sender is in, as the
// parent of others. A head that says it twice says nothing.
func (h *Head) ExtractTrace(ctx context.Context) context.Context {
	if len(h.Header[headerTraceParent]) != 1 {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(h.Header))
}

// SetTrace makes a head say that its sender is in the span of ctx.
func (h *Head) SetTrace(ctx context.Context) { setTrace(ctx, h.Header) }

// WithTrace is SetTrace for a copy.
func (h *Head) WithTrace(ctx context.Context) *Head {
	own := *h
	own.Header = maps.Clone(h.Header)
	setTrace(ctx, own.Header)
	return &own
}

func setTrace(ctx context.Context, header http.Header) {
	// The state belongs to the parent that it came with.
	delete(header, headerTraceParent)
	delete(header, headerTraceState)
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(header))
}
