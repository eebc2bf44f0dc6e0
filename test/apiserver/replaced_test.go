// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// askedPod hangs, and counts what it is asked.
func (r *room) askedPod(namespace, proxy, name string) (*pod, *atomic.Int32) {
	r.Helper()
	p, asked := newPod(namespace, proxy, name, someUID()), &atomic.Int32{}
	r.run(p, &dataplanev1alpha1.UnimplementedConnectionsServer{},
		grpc.UnaryInterceptor(func(ctx context.Context, _ any, _ *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			asked.Add(1)
			<-ctx.Done()
			return nil, ctx.Err()
		}),
		grpc.StreamInterceptor(func(_ any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
			asked.Add(1)
			<-stream.Context().Done()
			return stream.Context().Err()
		}))
	return p, asked
}

// while asks for a list, an object and a disconnect, and lets something happen
// before they are answered.
func (r *room) while(asked *atomic.Int32, name string, happens func()) (list, get, disconnect answer) {
	r.Helper()
	answers := [3]chan answer{make(chan answer, 1), make(chan answer, 1), make(chan answer, 1)}
	for i, c := range []call{{path: path("shop")}, {path: path("shop", name)}, {method: http.MethodPost, path: path("shop", name, "disconnect"), body: "{}"}} {
		go func() { answers[i] <- r.call(c) }()
	}
	r.until("the pod is asked", func() bool { return asked.Load() == 3 })
	happens()
	return <-answers[0], <-answers[1], <-answers[2]
}

// A pod that is relabelled lives, and so do its connections.
func TestAPodThatIsRelabelledIsNotGone(t *testing.T) {
	r := newRoom(t, podTimeout(3*time.Second))
	p, asked := r.askedPod("shop", "echo", "echo-a")
	list, get, disconnect := r.while(asked, string(p.id)+"-00000000", func() {
		r.update(p, func(o *corev1.Pod) { o.Labels[wsproxyv1alpha1.LabelProxy] = "other" })
	})
	if list.list(); !strings.Contains(list.header.Get("Warning"), "shop/echo-a") {
		t.Errorf("warning %q", list.header.Get("Warning"))
	}
	get.refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
	disconnect.refusal(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "")
}

func TestAPodWithAnotherAddressIsAskedAgain(t *testing.T) {
	r := newRoom(t, podTimeout(20*time.Second))
	p, asked := r.askedPod("shop", "echo", "echo-a")
	moved := newPod("shop", "echo", "echo-a", p.uid)
	moved.serve(t, r.authority, r.port)
	names := moved.connect(3)
	list, get, disconnect := r.while(asked, names[0], func() {
		r.update(p, func(o *corev1.Pod) { o.Status.PodIP = moved.ip })
	})
	if l := list.list(); len(l.Items) != 3 || list.header.Get("Warning") != "" {
		t.Errorf("lists %d, warning %q", len(l.Items), list.header.Get("Warning"))
	}
	get.object(http.StatusOK)
	// It was asked there already, so it is not asked here.
	disconnect.refusal(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "")
	if len(moved.ended()) > 0 {
		t.Error("it was ended")
	}
}

func TestAPodThatIsRemovedWhileItIsAsked(t *testing.T) {
	r := newRoom(t, podTimeout(20*time.Second))
	p, asked := r.askedPod("shop", "echo", "echo-a")
	list, get, disconnect := r.while(asked, string(p.id)+"-00000000", func() { r.remove(p) })
	if l := list.list(); len(l.Items) != 0 || list.header.Get("Warning") != "" {
		t.Errorf("lists %d, warning %q", len(l.Items), list.header.Get("Warning"))
	}
	get.refusal(http.StatusNotFound, metav1.StatusReasonNotFound, "")
	disconnect.refusal(http.StatusNotFound, metav1.StatusReasonNotFound, "")
}
