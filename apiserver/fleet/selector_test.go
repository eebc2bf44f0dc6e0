// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

func TestWhichPodsAreAsked(t *testing.T) {
	running := corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	waiting := corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}}
	ended := corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   bool
	}{
		"runs":               {func(*corev1.Pod) {}, true},
		"is being deleted":   {func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.Now()) }, true},
		"has begun just now": {func(p *corev1.Pod) { p.Status.ContainerStatuses = nil }, true},
		"has a second container": {func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{ended, running}
		}, true},
		"waits":          {func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{waiting} }, false},
		"ended":          {func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{ended} }, false},
		"is pending":     {func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }, false},
		"has failed":     {func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, false},
		"has no address": {func(p *corev1.Pod) { p.Status.PodIP = "" }, false},
		"is of no proxy": {func(p *corev1.Pod) { p.Labels = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "echo-a", UID: "1", Labels: map[string]string{wsproxyv1alpha1.LabelProxy: "echo"}},
				Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.7", ContainerStatuses: []corev1.ContainerStatus{running}},
			}
			c.change(pod)
			is, asked := targetOf(pod)
			if asked != c.want {
				t.Errorf("asked: %v", asked)
			}
			stripped, err := strip(pod)
			if err != nil {
				t.Fatal(err)
			}
			if was, asked := targetOf(stripped.(*corev1.Pod)); asked != c.want || was != is {
				t.Errorf("stripped it is %+v, asked: %v", was, asked)
			}
		})
	}
}
