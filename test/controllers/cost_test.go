// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// What a ReplicaSet makes of it is tested in test/e2e, where there are some.
func TestPodsSayWhatItCostsToDeleteThem(t *testing.T) {
	r := newRoom(t)
	// The rights to do so are those of config/rbac.
	startOperatorAs(t, r.account("default", ""), r.namespace)
	costs := func(want ...string) error {
		for i, cost := range want {
			name := fmt.Sprintf("echo-%d", i)
			if got := get[corev1.Pod](r, name).Annotations[corev1.PodDeletionCost]; got != cost {
				return fmt.Errorf("pod %s costs %q, want %q", name, got, cost)
			}
		}
		return nil
	}
	pods := r.serving("echo", 3)
	template := exists[appsv1.Deployment](r, "echo-wsproxy").Spec.Template.String()
	have := func(retries int32, connections ...int64) {
		for i, n := range connections {
			pods[i].set(func() { pods[i].connections = n })
		}
		// They tell with their next answer.
		r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":%d}}}`, retries)
		for _, p := range pods {
			p.retries(retries)
		}
		// The operator has heard of it when it says so.
		r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionTrue, wsproxyv1alpha1.ReasonProgrammed)
	}
	have(7, 100, 5, 2000)
	r.eventually(func() error { return costs("100", "", "2000") })

	// Where nothing goes, there is no hurry; before something does, they are exact.
	have(8, 400, 6, 2001)
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"replicas":2}}`)
	r.eventually(func() error {
		if n := *get[appsv1.Deployment](r, "echo-wsproxy").Spec.Replicas; n != 2 {
			return fmt.Errorf("the Deployment wants %d pods", n)
		}
		return nil
	})
	if err := costs("400", "6", "2001"); err != nil {
		t.Error("when the Deployment wants fewer pods:", err)
	}
	if got := get[appsv1.Deployment](r, "echo-wsproxy").Spec.Template.String(); got != template {
		t.Errorf("the template of the pods has changed to\n%s\nfrom\n%s", got, template)
	}
}
