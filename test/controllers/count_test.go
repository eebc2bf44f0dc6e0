// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
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
