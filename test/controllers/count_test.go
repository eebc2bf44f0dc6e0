// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// counts waits until the status says so many pods, all of them programmed.
func (r *room) counts(proxy string, pods int32) {
	r.Helper()
	r.eventually(func() error {
		if d := get[wsproxyv1alpha1.WebSocketProxy](r, proxy).Status.Dataplane; d.Pods != pods || d.Programmed != pods {
			return fmt.Errorf("%d pods, %d programmed, want %d", d.Pods, d.Programmed, pods)
		}
		return nil
	})
}

func TestOnlyThePodsOfTheProxyThatServeAreCounted(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	pods := r.serving("echo", 2)
	r.counts("echo", 2)

	// One that drains, as those of a proxy that was deleted and made again do for an
	// hour, is pushed to and not counted.
	p := pods[0].object
	finalizers := func(list string) {
		patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"finalizers":%s}}`, list))
		if err := r.api.Patch(context.WithoutCancel(t.Context()), p, patch); err != nil {
			t.Error(err)
		}
	}
	finalizers(`["example.com/drains"]`)
	if err := r.api.Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { finalizers(`null`) })
	r.counts("echo", 1)
	if n := get[wsproxyv1alpha1.WebSocketProxy](r, "echo").Status.Dataplane.Draining; n != 1 {
		t.Errorf("%d pods drain, want 1", n)
	}

	// Somebody gives a pod of his own the labels of ours.
	stranger := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "stranger", Labels: pods[1].object.Labels}, Spec: pods[1].object.Spec}
	r.create(stranger)
	r.patchStatus(stranger, `{"status":{"phase":"Running","podIP":"127.0.1.254","podIPs":[{"ip":"127.0.1.254"}],"conditions":[{"type":"Ready","status":"True"}]}}`)
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":7}}}`)
	pods[0].retries(7)
	pods[1].retries(7)
	r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionTrue, wsproxyv1alpha1.ReasonProgrammed)
	r.counts("echo", 1)
}

// Kubernetes counts the pods of a Deployment after they are ready. What the proxy
// says of them must be true of the same moment, whatever else is wrong with it.
func TestReadyPodsAreCountedWhenTheyAreProgrammed(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.proxy("echo", func(s *wsproxyv1alpha1.WebSocketProxySpec) {
		s.Upstream = wsproxyv1alpha1.Upstream{ServiceRef: &wsproxyv1alpha1.ServiceReference{Name: "missing", Port: 80}}
	})
	exists[corev1.Secret](r, "echo-wsproxy")
	r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionFalse, wsproxyv1alpha1.ReasonNoReadyPods)
	for _, name := range []string{"echo-0", "echo-1"} {
		r.pod("echo", name)
	}
	r.eventually(func() error {
		p := get[wsproxyv1alpha1.WebSocketProxy](r, "echo")
		programmed := meta.IsStatusConditionTrue(p.Status.Conditions, wsproxyv1alpha1.ConditionProgrammed)
		if programmed && p.Status.ReadyReplicas == 0 {
			t.Fatal("Programmed is True, and no pod is counted as ready")
		}
		if !programmed || p.Status.ReadyReplicas != 2 || p.Status.Replicas != 2 {
			return fmt.Errorf("Programmed is %v with %d of %d pods", programmed, p.Status.ReadyReplicas, p.Status.Replicas)
		}
		return nil
	})
	r.is("echo", status.InProgressStatus, wsproxyv1alpha1.ReasonRefsPending)
}

func asJSON(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

func TestAClassCountsTheProxiesThatInheritFromIt(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	counts := func(name string, isDefault bool, proxies, pods int32) {
		t.Helper()
		want := wsproxyv1alpha1.WebSocketProxyClassStatus{Default: isDefault, Proxies: &proxies, Pods: &pods}
		r.eventually(func() error {
			if got := get[wsproxyv1alpha1.WebSocketProxyClass](r, name).Status; !equality.Semantic.DeepEqual(got, want) {
				return fmt.Errorf("the status of %s is not default %v with %d proxies and %d pods, but %s", name, isDefault, proxies, pods, asJSON(got))
			}
			return nil
		})
	}
	mark := func(class *wsproxyv1alpha1.WebSocketProxyClass, value string) {
		t.Helper()
		r.patch(class, `{"metadata":{"annotations":{%q:%q}}}`, wsproxyv1alpha1.DefaultClassAnnotation, value)
	}
	gold := r.class("gold", func(*wsproxyv1alpha1.WebSocketProxyClass) {})
	silver := r.class("silver", func(*wsproxyv1alpha1.WebSocketProxyClass) {})
	counts("gold", false, 0, 0)
	named := func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.ClassName = "gold" }
	r.serving("a", 2, named)
	r.proxy("b", named)
	c := r.proxy("c")
	counts("gold", false, 2, 2)

	// Only "true" makes a class the default, and only one can be.
	mark(gold, "yes")
	r.serving("d", 1)
	r.maxRetries("d", wsproxyv1alpha1.DefaultMaxRetries, wsproxyv1alpha1.SourceBuiltIn)
	counts("gold", false, 2, 2)
	mark(gold, "true")
	counts("gold", true, 4, 3)
	mark(silver, "true")
	counts("gold", true, 2, 2)
	counts("silver", true, 0, 0)
	mark(gold, "false")
	counts("gold", false, 2, 2)
	counts("silver", true, 2, 1)

	// A proxy that changes its class leaves one and comes to the other.
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "b"), `{"spec":{"className":"silver"}}`)
	counts("gold", false, 1, 2)
	counts("silver", true, 3, 1)
	if err := r.api.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	counts("silver", true, 2, 1)
	// What an operator wrote that leads no more is put right.
	r.patchStatus(silver, `{"status":{"proxies":99}}`)
	counts("silver", true, 2, 1)
}
