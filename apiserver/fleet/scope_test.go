// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// podIn is a data-plane pod of a namespace, with a uid that is the name of that.
func podIn(t *testing.T, namespace, resourceVersion string) *corev1.Pod {
	t.Helper()
	selected, err := labels.ConvertSelectorToLabelsMap("app.kubernetes.io/name=wsproxy,app.kubernetes.io/component=dataplane,app.kubernetes.io/managed-by=wsproxy-operator")
	if err != nil {
		t.Fatal(err)
	}
	selected[wsproxyv1alpha1.LabelProxy] = "echo"
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "echo-a", UID: types.UID(namespace), Labels: selected, ResourceVersion: resourceVersion},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "127.0.0.1"},
	}
}

func TestAFleetOfSomeNamespaces(t *testing.T) {
	// Of the two that are watched, one has pods that changed last a while ago.
	kube := fake.NewClientset(podIn(t, "shop", "7"), podIn(t, "chat", "900"), podIn(t, "other", "8"))
	var revoked atomic.Bool // The rights in the namespace chat.
	refuse := func(action clienttesting.Action) bool {
		ns := action.GetNamespace()
		return ns != "shop" && ns != "chat" || ns == "chat" && revoked.Load()
	}
	forbidden := apierrors.NewForbidden(corev1.Resource("pods"), "", errors.New("no rights"))
	kube.PrependReactor("list", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		return refuse(action), nil, forbidden
	})
	kube.PrependWatchReactor("pods", clienttesting.DefaultWatchReactor(nil, forbidden))
	f, err := New(Options{
		Pods: unstreamed{kube.CoreV1()}, Namespaces: []string{"shop", "chat"}, Revoked: time.Millisecond, ClientDir: t.TempDir(), Logger: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.Run(ctx)
	}()
	defer func() { cancel(); <-ended }()
	for !f.Synced() {
		time.Sleep(time.Millisecond)
	}
	namespaces := func() (all []string) {
		for _, p := range f.Pods(func(*Pod) bool { return true }) {
			all = append(all, p.Namespace)
		}
		slices.Sort(all)
		return all
	}
	if got := namespaces(); !slices.Equal(got, []string{"chat", "shop"}) {
		t.Errorf("pods of %v are known", got)
	}
	// What the watch of one has seen says nothing of the other.
	for _, namespace := range []string{"", "shop", "chat", "other"} {
		if err := f.Confirm(t.Context(), namespace); err != nil {
			t.Errorf("confirm %q: %v", namespace, err)
		}
	}
	f.mu.Lock()
	f.seen["shop"] = 0
	f.mu.Unlock()
	hurry, late := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer late()
	if err := f.Confirm(hurry, "shop"); err == nil {
		t.Error("confirmed by the watch of another namespace")
	}
	f.mu.Lock()
	f.seen["shop"] = 7
	f.mu.Unlock()

	nameIn := func(namespace string) string {
		prefix := dataplanev1alpha1.PodPrefix(namespace)
		return prefix + strings.Repeat("0", dataplanev1alpha1.PodIDLength-len(prefix)) + "-00000001"
	}
	for _, namespace := range []string{"", "other"} {
		if _, err := f.owners(t.Context(), namespace, nameIn("other")); !errors.Is(err, ErrUnknown) {
			t.Errorf("a name of another namespace in %q: %v", namespace, err)
		}
	}
	if f.Covers("other") || !f.Covers("") || !f.Covers("chat") {
		t.Error("it covers others")
	}

	// The namespace chat is being deleted, and the RoleBinding in it is gone. A server
	// that were not ready then would keep it from ever being gone.
	revoked.Store(true)
	for errors.Is(f.Confirm(t.Context(), ""), errNotSaid) {
		time.Sleep(f.options.Revoked)
	}
	if err := f.Confirm(t.Context(), ""); err != nil || f.Fresh() != nil {
		t.Errorf("without rights in one of them: %v, %v", err, f.Fresh())
	}
	for len(namespaces()) == 2 {
		time.Sleep(time.Millisecond) // The watch has ended, and it is listed again after a pause.
	}
	for namespace, refused := range map[string][]string{"": {"chat"}, "chat": {"chat"}, "shop": nil, "other": nil} {
		if got := f.Refused(namespace); !slices.Equal(got, refused) {
			t.Errorf("of %q these are refused: %v", namespace, got)
		}
	}
	// Nobody knows whether it is there.
	if _, err := f.owners(t.Context(), "chat", nameIn("chat")); err == nil || errors.Is(err, ErrUnknown) {
		t.Errorf("a name in a namespace without rights: %v", err)
	}
	if got := namespaces(); !slices.Equal(got, []string{"shop"}) {
		t.Errorf("pods of %v are known", got)
	}
}

// A kube-apiserver that has just started refuses what it has not read the rights of yet.
func TestRightsAreGoneWhenTheyHaveBeenForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const refused, listed = true, true
		f := &Fleet{options: Options{Namespaces: []string{"shop"}, Revoked: 10 * time.Second, Logger: logr.Discard()}, refused: map[string]time.Time{}}
		if f.revoked("shop", refused, !listed) {
			t.Error("at once")
		}
		time.Sleep(9 * time.Second)
		if f.revoked("shop", refused, !listed) || f.revoked("chat", refused, !listed) {
			t.Error("after nine seconds, or in another namespace")
		}
		time.Sleep(time.Second)
		if f.revoked("shop", !refused, !listed) {
			t.Error("a kube-apiserver that does not answer has refused nothing")
		}
		if !f.revoked("shop", refused, !listed) {
			t.Error("not after ten seconds")
		}
		if f.revoked("shop", !refused, listed) || f.revoked("shop", refused, !listed) {
			t.Error("it begins anew where they were listed meanwhile")
		}
	})
}
