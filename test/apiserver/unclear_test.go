// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// A change that a pod has got and not answered may have been made, which is
// another answer than that it was not.
func TestAChangeOfWhichNobodyKnows(t *testing.T) {
	r := newRoom(t, podTimeout(200*time.Millisecond))
	got := make(chan *dataplanev1alpha1.DisconnectRequest, 1)
	p := newPod("shop", "echo", "echo-a", someUID())
	r.run(p, &dataplanev1alpha1.UnimplementedConnectionsServer{},
		grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			got <- request.(*dataplanev1alpha1.DisconnectRequest)
			<-ctx.Done()
			return nil, ctx.Err()
		}))
	c := call{method: http.MethodPost, path: path("shop", string(p.id)+"-00000000", "disconnect"), body: "{}"}
	before := time.Now()
	a := r.call(c)
	s := a.refusal(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "")
	if !strings.Contains(s.Message, "pod shop/echo-a gave no answer within 200ms: what was asked of it may still happen") || a.header.Get("Retry-After") != "" {
		t.Errorf("Retry-After %q: %s", a.header.Get("Retry-After"), s.Message)
	}
	// The pod is told until when.
	if until := (<-got).GetNotAfter().AsTime(); until.Before(before.Add(5*time.Second)) || until.After(time.Now().Add(5*time.Second)) {
		t.Errorf("not after %v, asked at %v", until, before)
	}
}

// What never came to a pod has not happened.
func TestAChangeThatHasNotHappened(t *testing.T) {
	r := newRoom(t, podTimeout(200*time.Millisecond))
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	p.stop()
	a := r.call(call{method: http.MethodDelete, path: path("shop", name)})
	a.refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
