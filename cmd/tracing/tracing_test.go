// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package tracing_test

import (
	"math"
	"net"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/wsproxy/wsproxy/cmd/tracing"
	"github.com/wsproxy/wsproxy/cmd/tracing/tracingtest"
)

func TestOptionsThatCannotBeAreRefused(t *testing.T) {
	for _, o := range []tracing.Options{
		{Endpoint: "collector", Ratio: 1}, {Endpoint: ":4317", Ratio: 1}, {Endpoint: "collector:", Ratio: 1}, {Endpoint: "http://collector:4317", Ratio: 1},
		{Ratio: -0.1}, {Ratio: 1.1}, {Ratio: math.NaN()},
	} {
		if o.Check() == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	for _, o := range []tracing.Options{{}, {Endpoint: "collector:4317", Ratio: 0.5}, {Endpoint: "[::1]:4317", Ratio: 1}} {
		if err := o.Check(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestOffIsNothing(t *testing.T) {
	p, err := tracing.Start(t.Context(), tracing.Options{Ratio: 1}, "dataplane", "v1", logr.Discard())
	if err != nil || p != nil || p.DataplaneTracer() != nil || p.DialOptions() != nil || p.ServerOptions() != nil {
		t.Errorf("%v, %v", p, err)
	}
	p.Stop()
}

func TestTheLogSaysThatSpansWereNotExported(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other := grpc.NewServer() // which is no collector
	go func() { _ = other.Serve(l) }()
	t.Cleanup(other.Stop)
	said := make(chan string, 10)
	logger := funcr.New(func(_, line string) { said <- line }, funcr.Options{})
	p, err := tracing.Start(t.Context(), tracing.Options{Endpoint: l.Addr().String(), Ratio: 1}, "dataplane", "v1", logger)
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.DataplaneTracer().Start(t.Context(), "handshake")
	span.End()
	p.Stop()
	select {
	case <-said:
	case <-time.After(10 * time.Second):
		t.Error("nothing was said")
	}
}

// A client may say that its trace is exported. It is not obeyed where the trace is not
// in the share; who says that it is not exported is.
func TestWhatIsExportedIsNotForClientsToSay(t *testing.T) {
	for _, c := range []struct {
		name   string
		ratio  float64
		parent trace.TraceFlags
		id     byte // the part of the trace's id that decides, from 0 to 255
		want   int
	}{
		{"all", 1, trace.FlagsSampled, 255, 1},
		{"its own trace is not exported", 1, 0, 0, 0},
		{"in the share", 0.5, trace.FlagsSampled, 10, 1},
		{"not in the share", 0.5, trace.FlagsSampled, 250, 0},
		{"none", 0, trace.FlagsSampled, 10, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			collector := tracingtest.Start(t)
			p, err := tracing.Start(t.Context(), tracing.Options{Endpoint: collector.Address, Ratio: c.ratio}, "dataplane", "v1", logr.Discard())
			if err != nil {
				t.Fatal(err)
			}
			parent := trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{0: 1, 8: c.id}, SpanID: trace.SpanID{1}, TraceFlags: c.parent, Remote: true,
			})
			_, span := p.DataplaneTracer().Start(trace.ContextWithRemoteSpanContext(t.Context(), parent), "handshake")
			span.End()
			p.Stop()
			if got := collector.Spans(); len(got) != c.want {
				t.Errorf("%d spans were exported, want %d", len(got), c.want)
			}
		})
	}
}
