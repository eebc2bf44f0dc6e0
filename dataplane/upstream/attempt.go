// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

// OutcomeGivenUp says that an attempt was ended before the upstream answered: its
// client has left, or was disconnected. All other outcomes are words that the answer
// to a client's handshake has, too.
const OutcomeGivenUp handshake.Reason = "GivenUp"

// attempt is one try to get an upstream, from when it begins until it has ended. The
// zero attempt is none.
type attempt struct {
	dialer    *Dialer
	began     time.Time
	reconnect bool
	span      trace.Span // nil where nothing is traced
}

// begin begins an attempt, with the span in ctx as the parent of its own, or, where
// there is none, with what the head says; it returns the head to send.
func (d *Dialer) begin(ctx context.Context, head *handshake.Head) (attempt, *handshake.Head) {
	a := attempt{dialer: d, began: time.Now(), reconnect: len(head.Header[handshake.HeaderReconnect]) > 0}
	if d.Tracer == nil {
		return a, head
	}
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = head.ExtractTrace(ctx)
	}
	ctx, a.span = d.Tracer.Start(ctx, "upstream handshake", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.Bool("wsproxy.reconnect", a.reconnect)))
	return a, head.WithTrace(ctx)
}

// end ends an attempt, once.
func (a *attempt) end(address string, err error) {
	if a.dialer == nil {
		return
	}
	outcome := outcomeOf(err)
	if told := a.dialer.Attempted; told != nil {
		told(a.reconnect, outcome, time.Since(a.began))
	}
	if a.span != nil {
		a.span.SetAttributes(attribute.String("server.address", address), attribute.String("wsproxy.outcome", string(outcome)))
		if refused, ok := errors.AsType[*Refused](err); ok {
			a.span.SetAttributes(attribute.Int("http.response.status_code", refused.Status))
		}
		if err != nil {
			// An upstream may say anything, and one span that is not UTF-8 keeps all those that
			// are exported with it from being encoded.
			a.span.SetStatus(codes.Error, strings.ToValidUTF8(err.Error(), "\uFFFD"))
		}
		a.span.End()
	}
	*a = attempt{}
}

// outcomeOf says what came of an attempt, in a word.
func outcomeOf(err error) handshake.Reason {
	if err == nil {
		return handshake.ReasonAccepted
	}
	if _, ok := errors.AsType[*Refused](err); ok {
		return handshake.ReasonUpstreamRefused
	}
	if errors.Is(err, context.Canceled) {
		return OutcomeGivenUp
	}
	return Answer(err).Reason
}
