// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"slices"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// Nothing holds the two apart: both see every change, write and push.
func TestTwoOperatorsThatBothLeadNeverPushBackwards(t *testing.T) {
	const last = 40
	r := newRoom(t)
	startOperator(t, r.namespace)
	pods := r.serving("echo", 3)
	startOperator(t, r.namespace)
	for retries := range last {
		r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":%d}}}`, retries+1)
		if retries%4 == 0 {
			pods[retries%len(pods)].retries(int32(retries + 1))
		}
	}
	for _, p := range pods {
		p.retries(last)
	}
	r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionTrue, wsproxyv1alpha1.ReasonProgrammed)
	version := get[corev1.ConfigMap](r, "echo-wsproxy").ResourceVersion
	for _, p := range pods {
		p.mu.Lock()
		// The first one is from before, with the 3 that is built in.
		if !slices.IsSorted(p.applied) || !slices.IsSorted(p.said[1:]) {
			t.Errorf("pod %s accepted the versions %v with maxRetries %v", p.object.Name, p.applied, p.said)
		}
		if got := strconv.FormatUint(p.inForce.GetVersion(), 10); got != version {
			t.Errorf("pod %s has version %s, want %s", p.object.Name, got, version)
		}
		p.mu.Unlock()
	}
	if c := get[corev1.ConfigMap](r, "echo-wsproxy"); c.Annotations["wsproxy.io/version-offset"] != "" {
		t.Error("one of them took the other for a cluster that went back in time")
	}
}
