// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// patience is how long the tests wait for what must come. It is long, because
// only a failing test waits for all of it.
const patience = 30 * time.Second

// room is a namespace with what a test needs of an API server.
type room struct {
	*testing.T
	namespace string
	api       client.Client
}

func newRoom(t *testing.T) *room {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := server.client.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	r := &room{T: t, namespace: namespace.Name, api: server.client}
	// There is no garbage collector, and the next operator would look at what is
	// left.
	t.Cleanup(func() {
		ctx := context.Background()
		for _, o := range []client.Object{&wsproxyv1alpha1.WebSocketProxy{}, &corev1.Pod{}, &appsv1.Deployment{}} {
			if err := r.api.DeleteAllOf(ctx, o, client.InNamespace(r.namespace), client.GracePeriodSeconds(0)); err != nil {
				t.Error(err)
			}
		}
		if err := r.api.DeleteAllOf(ctx, &wsproxyv1alpha1.WebSocketProxyClass{}); err != nil {
			t.Error(err)
		}
	})
	return r
}

// create makes an object in the room.
func (r *room) create(o client.Object) {
	r.Helper()
	o.SetNamespace(r.namespace)
	if err := r.api.Create(r.Context(), o); err != nil {
		r.Fatal(err)
	}
}

// proxy makes a proxy for ws://backend.example with what is changed on top.
func (r *room) proxy(name string, change ...func(*wsproxyv1alpha1.WebSocketProxySpec)) *wsproxyv1alpha1.WebSocketProxy {
	r.Helper()
	p := &wsproxyv1alpha1.WebSocketProxy{ObjectMeta: metav1.ObjectMeta{Name: name}}
	p.Spec.Upstream.URL = "ws://backend.example"
	for _, c := range change {
		c(&p.Spec)
	}
	r.create(p)
	return p
}

// class makes a class, which has no namespace.
func (r *room) class(name string, change func(*wsproxyv1alpha1.WebSocketProxyClass)) *wsproxyv1alpha1.WebSocketProxyClass {
	r.Helper()
	c := &wsproxyv1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
	change(c)
	if err := r.api.Create(r.Context(), c); err != nil {
		r.Fatal(err)
	}
	return c
}

// patch sends a JSON merge patch, as kubectl patch --type merge does.
func (r *room) patch(o client.Object, format string, arguments ...any) {
	r.Helper()
	raw := fmt.Sprintf(format, arguments...)
	if !json.Valid([]byte(raw)) {
		r.Fatalf("no JSON: %s", raw)
	}
	if err := r.api.Patch(r.Context(), o, client.RawPatch(types.MergePatchType, []byte(raw))); err != nil {
		r.Fatal(err)
	}
}

// get reads an object of the room.
func get[T any, P interface {
	*T
	client.Object
}](r *room, name string) P {
	r.Helper()
	o := P(new(T))
	if err := r.api.Get(r.Context(), types.NamespacedName{Namespace: r.namespace, Name: name}, o); err != nil {
		r.Fatal(err)
	}
	return o
}

// eventually waits until check has nothing to complain of.
func (r *room) eventually(check func() error) {
	r.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			r.Fatalf("after %s: %v", patience, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// exists waits for an object of the room and returns it.
func exists[T any, P interface {
	*T
	client.Object
}](r *room, name string) P {
	r.Helper()
	o := P(new(T))
	r.eventually(func() error {
		return r.api.Get(r.Context(), types.NamespacedName{Namespace: r.namespace, Name: name}, o)
	})
	return o
}

// missing fails if there is such an object.
func (r *room) missing(o client.Object, name string) {
	r.Helper()
	err := r.api.Get(r.Context(), types.NamespacedName{Namespace: r.namespace, Name: name}, o)
	if !apierrors.IsNotFound(err) {
		r.Fatalf("%T %s: got %v, want not found", o, name, err)
	}
}

// condition waits until a condition of the proxy's present generation has that
// status and reason, and returns it.
func (r *room) condition(name, kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	r.Helper()
	var found metav1.Condition
	r.eventually(func() error {
		p := get[wsproxyv1alpha1.WebSocketProxy](r, name)
		c := meta.FindStatusCondition(p.Status.Conditions, kind)
		if c == nil || c.Status != status || c.Reason != reason || c.ObservedGeneration != p.Generation || p.Status.ObservedGeneration != p.Generation {
			return fmt.Errorf("condition %s is %+v, want %s/%s of generation %d", kind, c, status, reason, p.Generation)
		}
		found = *c
		return nil
	})
	return found
}

// roll reports for the Deployment of a proxy what a Deployment controller would
// when every pod is ready.
func (r *room) roll(proxy string) {
	r.Helper()
	d := exists[appsv1.Deployment](r, proxy+"-wsproxy")
	n := *d.Spec.Replicas
	r.patchStatus(d, `{"status":{"observedGeneration":%d,"replicas":%d,"updatedReplicas":%d,"readyReplicas":%d,"availableReplicas":%d}}`,
		d.Generation, n, n, n, n)
}

// patchStatus is patch for the status subresource.
func (r *room) patchStatus(o client.Object, format string, arguments ...any) {
	r.Helper()
	raw := fmt.Sprintf(format, arguments...)
	if err := r.api.Status().Patch(r.Context(), o, client.RawPatch(types.MergePatchType, []byte(raw))); err != nil {
		r.Fatal(err)
	}
}

// serving makes a proxy with pods that are ready and have its configuration.
func (r *room) serving(name string, pods int, change ...func(*wsproxyv1alpha1.WebSocketProxySpec)) []*pod {
	r.Helper()
	r.proxy(name, append(change, func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.Replicas = new(int32(pods)) })...)
	exists[corev1.Secret](r, name+"-wsproxy")
	var made []*pod
	for i := range pods {
		made = append(made, r.pod(name, fmt.Sprintf("%s-%d", name, i)))
	}
	r.roll(name)
	r.condition(name, wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonReady)
	return made
}

// versions returns the resourceVersions of everything that a proxy is, by kind.
func (r *room) versions(proxy string) map[string]string {
	r.Helper()
	versions := map[string]string{}
	for _, o := range append(everyObject(), &wsproxyv1alpha1.WebSocketProxy{}) {
		name := proxy + "-wsproxy"
		if _, ok := o.(*wsproxyv1alpha1.WebSocketProxy); ok {
			name = proxy
		}
		if err := r.api.Get(r.Context(), types.NamespacedName{Namespace: r.namespace, Name: name}, o); err != nil {
			r.Fatal(err)
		}
		versions[fmt.Sprintf("%T", o)] = o.GetResourceVersion()
	}
	return versions
}
