// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/gorilla/websocket"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/tracing"
	"github.com/wsproxy/wsproxy/cmd/tracing/tracingtest"
	"github.com/wsproxy/wsproxy/dataplane/relay"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// What a client that is traced says.
const (
	clientTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	clientSpan   = "00f067aa0ba902b7"
	clientParent = "00-" + clientTrace + "-" + clientSpan + "-01"
	clientState  = "shop=1,other=2"
)

func tracedClient() http.Header {
	return http.Header{"Traceparent": {clientParent}, "Tracestate": {clientState}}
}

// startTraced runs a proxy that is traced. exported ends tracing, and returns the
// spans by their names, in the order in which they ended.
func startTraced(t *testing.T, snap *dataplanev1alpha1.Snapshot) (p *proxy, exported func() map[string][]tracingtest.Span) {
	t.Helper()
	collector := tracingtest.Start(t)
	provider, err := tracing.Start(t.Context(), tracing.Options{Endpoint: collector.Address, Ratio: 1}, "dataplane", "v1", logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.Stop)
	p = startProxyWith(t, snap, core.NewBudget(1<<20), func(o *relay.Options) {
		o.Tracer, o.Dialer.Tracer = provider.DataplaneTracer(), provider.DataplaneTracer()
	})
	return p, func() map[string][]tracingtest.Span {
		if err := provider.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
		spans := map[string][]tracingtest.Span{}
		for _, s := range collector.Spans() {
			spans[s.Name] = append(spans[s.Name], s)
		}
		return spans
	}
}

// contextOf is what a request says of its trace.
func contextOf(t *testing.T, r *http.Request) (trace, parent string) {
	t.Helper()
	fields := strings.Split(r.Header.Get("Traceparent"), "-")
	if len(fields) != 4 || len(r.Header["Traceparent"]) != 1 || fields[3] != "01" {
		t.Fatalf("traceparent %q", r.Header["Traceparent"])
	}
	return fields[1], fields[2]
}

func TestAHandshakeIsInTheTraceOfItsClientAndTheUpstreamInThatOfTheAttempt(t *testing.T) {
	backend := startBackend(t)
	p, exported := startTraced(t, snapshot(backend.url))
	p.dial(tracedClient())
	request := <-backend.requests
	spans := exported()
	if len(spans["WebSocket handshake"]) != 1 || len(spans["upstream handshake"]) != 1 {
		t.Fatalf("exported %v", spans)
	}
	handshake, attempt := spans["WebSocket handshake"][0], spans["upstream handshake"][0]
	if handshake.Trace != clientTrace || handshake.Parent != clientSpan || handshake.Kind != tracev1.Span_SPAN_KIND_SERVER || handshake.Service != "wsproxy-dataplane" {
		t.Errorf("the handshake is %+v", handshake)
	}
	if got := handshake.Attributes; got["wsproxy.connection"] != p.only().ID().Name() || got["url.path"] != "/chat" || got["client.address"] != "127.0.0.1" || got["wsproxy.reason"] != "Accepted" {
		t.Errorf("the handshake has %v", got)
	}
	if attempt.Trace != clientTrace || attempt.Parent != handshake.ID || attempt.Kind != tracev1.Span_SPAN_KIND_CLIENT {
		t.Errorf("the attempt is %+v", attempt)
	}
	if trace, parent := contextOf(t, request); trace != clientTrace || parent != attempt.ID {
		t.Errorf("the upstream was told %s of %s, want %s of %s", parent, trace, attempt.ID, clientTrace)
	}
	if got := request.Header.Get("Tracestate"); got != clientState {
		t.Errorf("the upstream was told the state %q", got)
	}
}

func TestEachAttemptIsASpan(t *testing.T) {
	backend := startBackend(t)
	refusals := 0
	backend.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool {
		if refusals++; refusals > 2 {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	snap := snapshot(backend.url)
	snap.Settings.MaxRetries = 5
	p, exported := startTraced(t, snap)
	p.dial(nil)
	spans := exported()
	if len(spans["WebSocket handshake"]) != 1 || len(spans["upstream handshake"]) != 3 {
		t.Fatalf("exported %v", spans)
	}
	handshake := spans["WebSocket handshake"][0]
	if handshake.Parent != "" || handshake.Status == tracev1.Status_STATUS_CODE_ERROR {
		t.Errorf("the handshake is %+v", handshake)
	}
	for i, want := range []string{"UpstreamRefused", "UpstreamRefused", "Accepted"} {
		attempt := spans["upstream handshake"][i]
		if attempt.Parent != handshake.ID || attempt.Attributes["wsproxy.outcome"] != want || (attempt.Status == tracev1.Status_STATUS_CODE_ERROR) != (want != "Accepted") {
			t.Errorf("attempt %d is %+v, want %s", i, attempt, want)
		}
		if trace, parent := contextOf(t, <-backend.requests); trace != handshake.Trace || parent != attempt.ID {
			t.Errorf("request %d is of %s in %s", i, parent, trace)
		}
	}
}

func TestAHandshakeThatFailsIsASpanThatSaysSo(t *testing.T) {
	backend := startBackend(t)
	backend.http.Close() // Nothing listens there any more.
	p, exported := startTraced(t, snapshot(backend.url))
	_, response, err := websocket.DefaultDialer.DialContext(t.Context(), p.url, nil)
	if err == nil || response == nil || response.StatusCode != http.StatusBadGateway {
		t.Fatalf("answered %v, %v", response, err)
	}
	var spans map[string][]tracingtest.Span
	eventually(t, "it is exported", func() bool {
		spans = exported()
		return len(spans["WebSocket handshake"]) == 1
	})
	if s := spans["WebSocket handshake"][0]; s.Status != tracev1.Status_STATUS_CODE_ERROR || s.Attributes["wsproxy.reason"] != "UpstreamUnreachable" {
		t.Errorf("the handshake is %+v", s)
	}
	if s := spans["upstream handshake"]; len(s) != 1 || s[0].Attributes["wsproxy.outcome"] != "UpstreamUnreachable" {
		t.Errorf("the attempts are %+v", s)
	}
}

// A span with a text that is not UTF-8 could not be encoded, nor could those that are
// exported with it.
func TestWhateverAnUpstreamSaysIsExported(t *testing.T) {
	backend := startBackend(t)
	backend.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool {
		sock, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return true
		}
		_, _ = io.WriteString(sock, "HTTP/1.1 403 nicht f\xfcr dich\r\nContent-Length: 0\r\n\r\n")
		_ = sock.Close()
		return true
	})
	p, exported := startTraced(t, snapshot(backend.url))
	if _, _, err := websocket.DefaultDialer.DialContext(t.Context(), p.url, nil); err == nil {
		t.Fatal("it was not refused")
	}
	eventually(t, "both are exported", func() bool {
		spans := exported()
		return len(spans["WebSocket handshake"]) == 1 && len(spans["upstream handshake"]) == 1
	})
}

func TestAReconnectIsInTheTraceOfItsHandshake(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect = true
	p, exported := startTraced(t, snap)
	client := p.dial(tracedClient())
	cut(backend.next(t))
	p.held(0)
	send(t, client, "hello")
	receive(t, backend.next(t), "hello")
	<-backend.requests
	again := <-backend.requests
	var spans map[string][]tracingtest.Span
	eventually(t, "it is exported", func() bool {
		spans = exported()
		return len(spans["upstream handshake"]) == 2
	})
	attempt := spans["upstream handshake"][1]
	if attempt.Trace != clientTrace || attempt.Parent != spans["WebSocket handshake"][0].ID {
		t.Errorf("the attempt is %+v", attempt)
	}
	if trace, parent := contextOf(t, again); trace != clientTrace || parent != attempt.ID {
		t.Errorf("the upstream was told %s of %s", parent, trace)
	}
}

func TestWithoutTracingWhatAClientSaysPasses(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect = true
	p := startProxy(t, snap)
	client := p.dial(tracedClient())
	cut(backend.next(t))
	p.held(0)
	send(t, client, "hello")
	receive(t, backend.next(t), "hello")
	for range 2 {
		request := <-backend.requests
		if got := request.Header; got.Get("Traceparent") != clientParent || got.Get("Tracestate") != clientState {
			t.Errorf("the upstream was told %q and %q", got["Traceparent"], got["Tracestate"])
		}
	}
}
