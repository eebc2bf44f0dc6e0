// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// serializer reads the answers of the server where a request was written by
// hand, the Status of a refusal above all.
func serializer() runtime.NegotiatedSerializer { return scheme.Codecs.WithoutConversion() }

// namespace makes a namespace for one test. There is no controller that could
// empty it again, so it is left to go away with the server.
func namespace(t testing.TB) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := server.client.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

func remove(t testing.TB, object client.Object) {
	t.Helper()
	// The context of a test has ended when its cleanups run.
	if err := server.client.Delete(context.WithoutCancel(t.Context()), object); err != nil {
		t.Error(err)
	}
}

// minimal is a proxy that sets nothing but what it must.
func minimal(namespace, name string) *wsproxyv1alpha1.WebSocketProxy {
	return &wsproxyv1alpha1.WebSocketProxy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: wsproxyv1alpha1.WebSocketProxySpec{
			Upstream: wsproxyv1alpha1.Upstream{ServiceRef: &wsproxyv1alpha1.ServiceReference{Name: "chat", Port: 8080}},
		},
	}
}

func asJSON(t testing.TB, value any) string {
	t.Helper()
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
