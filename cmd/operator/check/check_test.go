// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// The cluster of these tests has no data plane: its Service leads to the upstream
// itself. The whole is what `helm test` runs in test/e2e.

var key = client.ObjectKey{Namespace: "default", Name: "wsproxy-check"}

// cluster is one whose operator says of each proxy that is made what ready says.
func cluster(t *testing.T, at net.Addr, ready metav1.Condition, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), wsproxyv1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	address, err := netip.ParseAddrPort(at.String())
	if err != nil {
		t.Fatal(err)
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name + "-wsproxy"},
		Spec:       corev1.ServiceSpec{ClusterIP: address.Addr().String(), Ports: []corev1.ServicePort{{Port: int32(address.Port())}}},
	}
	ready.Type, ready.LastTransitionTime = wsproxyv1alpha1.ConditionReady, metav1.Now()
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(objects, service)...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			if p, ok := o.(*wsproxyv1alpha1.WebSocketProxy); ok {
				p.Status.Conditions = []metav1.Condition{ready}
			}
			return c.Create(ctx, o, options...)
		},
	}).Build()
}

func options(t *testing.T, c func(net.Addr) client.Client, out *strings.Builder) Options {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return Options{Client: c(listener.Addr()), Namespace: key.Namespace, Name: key.Name, Listener: listener, Step: time.Minute, Out: out}
}

var ready = metav1.Condition{Status: metav1.ConditionTrue, Reason: "Ready"}

func TestAWebSocketIsOpenedAndTheProxyRemoved(t *testing.T) {
	var out strings.Builder
	left := &wsproxyv1alpha1.WebSocketProxy{ObjectMeta: metav1.ObjectMeta{
		Namespace: key.Namespace, Name: key.Name, Labels: map[string]string{labelCheck: valueCheck},
	}}
	o := options(t, func(at net.Addr) client.Client { return cluster(t, at, ready, left) }, &out)
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"is ready at", "a message came back", "the upstream was told"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, &out)
		}
	}
	if err := o.Client.Get(t.Context(), key, &wsproxyv1alpha1.WebSocketProxy{}); !apierrors.IsNotFound(err) {
		t.Errorf("the proxy: %v", err)
	}
}

func TestAProxyThatIsNotReadySaysWhyAndIsRemoved(t *testing.T) {
	var out strings.Builder
	why := metav1.Condition{Status: metav1.ConditionFalse, Reason: "PodsNotReady", Message: "no image"}
	o := options(t, func(at net.Addr) client.Client { return cluster(t, at, why) }, &out)
	o.Step = time.Second
	err := Run(t.Context(), o)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "PodsNotReady: no image") {
		t.Errorf("got %v", err)
	}
	if err := o.Client.Get(t.Context(), key, &wsproxyv1alpha1.WebSocketProxy{}); !apierrors.IsNotFound(err) {
		t.Errorf("the proxy: %v", err)
	}
}

func TestTheProxyOfSomebodyElseStays(t *testing.T) {
	var out strings.Builder
	theirs := &wsproxyv1alpha1.WebSocketProxy{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	o := options(t, func(at net.Addr) client.Client { return cluster(t, at, ready, theirs) }, &out)
	o.Step = time.Second
	if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("got %v", err)
	}
	if err := o.Client.Get(t.Context(), key, theirs); err != nil {
		t.Error(err)
	}
}

func TestTheAPIMustHaveTheConnection(t *testing.T) {
	var out strings.Builder
	o := options(t, func(at net.Addr) client.Client { return cluster(t, at, ready) }, &out)
	o.API, o.Step = true, time.Second
	if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "the connection in the Kubernetes API") {
		t.Errorf("got %v", err)
	}
}
