// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver"
)

func (r *room) endAll(query string) answer {
	r.Helper()
	return r.call(call{method: http.MethodDelete, path: path("shop") + query})
}

func TestALargeCollectionIsEndedPageByPage(t *testing.T) {
	r := newRoom(t)
	a, b := r.pod("shop", "echo", "echo-a"), r.pod("shop", "echo", "echo-b")
	names := sorted(a.connect(7000), b.connect(3400))
	if got := namesOf(r.endAll("?limit=1100").list()); !slices.Equal(got, names[:1100]) || len(a.ended())+len(b.ended()) != 1100 {
		t.Fatalf("a limit of 1100 lists %d and ends %d", len(got), len(a.ended())+len(b.ended()))
	}
	l := r.endAll("").list()
	if n := len(a.ended()) + len(b.ended()); n != 10_400 {
		t.Errorf("ended %d", n)
	}
	if got := namesOf(l); !slices.Equal(got, names[:10_000]) || l.RemainingItemCount == nil || *l.RemainingItemCount != 400 {
		t.Errorf("the answer has %d and counts %v more", len(got), l.RemainingItemCount)
	}
}

// Whatever the flags: what is allowed once must be possible.
func TestACollectionOfAnySizeCanBeEnded(t *testing.T) {
	for _, burst := range []int{1, 2, 5} {
		r := newRoom(t, func(c *apiserver.Config) { c.Changes.PerSecond, c.Changes.Burst = 0.001, burst })
		p := r.pod("shop", "echo", "echo-a")
		p.connect(1200)
		for range burst - 1 {
			r.call(call{method: http.MethodDelete, path: path("shop", wellFormed)}).refusal(http.StatusNotFound, metav1.StatusReasonNotFound, "")
		}
		if l := r.endAll("").list(); len(l.Items) != 1200 || len(p.ended()) != 1200 {
			t.Errorf("with a burst of %d: %d", burst, len(l.Items))
		}
		r.endAll("").refusal(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "")
	}
}

// A pod that hangs, or fails, after it has listed its connections costs one
// answer, not one for each of them.
func TestTheRestOfAPodThatFailsIsLeftOut(t *testing.T) {
	for what, fail := range map[string]func(context.Context) error{
		"hangs": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"fails": func(context.Context) error { return status.Error(codes.Internal, "") },
	} {
		r := newRoom(t, podTimeout(time.Second))
		bad := newPod("shop", "liar", "liar-a", someUID())
		l := &liar{}
		for i := range 1200 {
			l.says = append(l.says, saying(fmt.Sprintf("%s-%08d", bad.id, i)))
		}
		var asked atomic.Int32
		r.run(bad, l, grpc.UnaryInterceptor(func(ctx context.Context, _ any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			if info.FullMethod == dataplanev1alpha1.Connections_Disconnect_FullMethodName {
				asked.Add(1)
			}
			return nil, fail(ctx)
		}))
		p := r.pod("shop", "echo", "echo-a")
		p.connect(300)
		s := r.endAll("").refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
		if !strings.HasSuffix(s.Message, "300 connections are closing, but 1 data-plane pods did not answer: shop/liar-a") {
			t.Errorf("%s: %s", what, s.Message)
		}
		if n := asked.Load(); n > 8 || len(p.ended()) != 300 {
			t.Errorf("%s: the pod was asked %d times; %d of the other were ended", what, n, len(p.ended()))
		}
	}
}
