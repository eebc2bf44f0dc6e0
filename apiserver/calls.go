// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"path"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// podCalls measures what is asked of pods. It is a stats.Handler, which is told of
// calls with one answer and of those with many alike.
type podCalls struct{ duration *prometheus.HistogramVec }

func newPodCalls(r prometheus.Registerer) *podCalls {
	c := &podCalls{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "wsproxy_api_pod_call_duration_seconds",
		Help: "Time that a data-plane pod took to answer, or until it was given up, by method and gRPC code. Watches, which last, are not in it.",

		Buckets:                     []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}, []string{"method", "code"})}
	// A series that is there from the beginning has a rate from its first event on.
	for _, method := range []string{"Get", "List", "GetClosed", "ListClosed", "Disconnect", "Send"} {
		c.duration.WithLabelValues(method, codes.OK.String())
	}
	r.MustRegister(c.duration)
	return c
}

type methodKey struct{}

// TagRPC implements stats.Handler.
func (*podCalls) TagRPC(ctx context.Context, call *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, methodKey{}, path.Base(call.FullMethodName))
}

// HandleRPC implements stats.Handler.
func (c *podCalls) HandleRPC(ctx context.Context, event stats.RPCStats) {
	method, _ := ctx.Value(methodKey{}).(string)
	if end, ok := event.(*stats.End); ok && method != "Watch" {
		c.duration.WithLabelValues(method, status.Code(end.Error).String()).Observe(end.EndTime.Sub(end.BeginTime).Seconds())
	}
}

// TagConn implements stats.Handler.
func (*podCalls) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (*podCalls) HandleConn(context.Context, stats.ConnStats) {}
