// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes/fake"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// unstreamed cannot stream a list, as the made-up list of pods.
type unstreamed struct{ corev1client.PodsGetter }

// IsWatchListSemanticsUnSupported is what a reflector asks.
func (unstreamed) IsWatchListSemanticsUnSupported() bool { return true }

// running is a fleet of one pod, until end is called.
func running(t *testing.T) (f *Fleet, end func()) {
	t.Helper()
	selected, err := labels.ConvertSelectorToLabelsMap("app.kubernetes.io/name=wsproxy,app.kubernetes.io/component=dataplane,app.kubernetes.io/managed-by=wsproxy-operator")
	if err != nil {
		t.Fatal(err)
	}
	selected[wsproxyv1alpha1.LabelProxy] = "echo"
	kube := fake.NewClientset(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "echo-a", UID: "1", Labels: selected, ResourceVersion: "7"},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "127.0.0.1"},
	})
	if f, err = New(Options{Pods: unstreamed{kube.CoreV1()}, ClientDir: t.TempDir(), Logger: logr.Discard()}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.Run(ctx)
	}()
	for !f.Synced() {
		time.Sleep(time.Millisecond)
	}
	return f, func() {
		cancel()
		<-ended
	}
}

func TestAfterTheEndNothingIsKnown(t *testing.T) {
	f, end := running(t)
	pod := f.Pods(func(*Pod) bool { return true })[0]
	end()
	if result, err := f.List(t.Context(), Query{}); !errors.Is(err, errStopped) {
		t.Errorf("a list is %v, %v", result, err)
	}
	name := dataplanev1alpha1.PodPrefix("1") + "0123456-00000000"
	if _, _, ok := dataplanev1alpha1.ParseName(name); !ok {
		t.Fatalf("%s is no name", name)
	}
	if _, err := f.Get(t.Context(), Live, "shop", name); !errors.Is(err, errStopped) {
		t.Errorf("a get is told %v", err)
	}
	var unanswered *Unanswered
	if _, err := pod.get(t.Context(), Live, name); !errors.As(err, &unanswered) {
		t.Errorf("who has begun to ask is told %v", err)
	}
	for _, err := range pod.list(t.Context(), "", 0, &listing{}) {
		if !errors.As(err, &unanswered) {
			t.Errorf("who has begun to list is told %v", err)
		}
	}
}
