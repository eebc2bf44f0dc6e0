// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// Selector selects the data-plane pods: those that the operator makes for a
// proxy.
const Selector = "app.kubernetes.io/name=wsproxy," +
	"app.kubernetes.io/component=dataplane," +
	"app.kubernetes.io/managed-by=wsproxy-operator," +
	wsproxyv1alpha1.LabelProxy

// target is what has to be known of a pod in order to ask it.
type target struct {
	uid             types.UID
	namespace, name string
	proxy           string
	// ip is where its containers listen.
	ip string
}

// targetOf reports false for a pod that has no connections: one that has not
// begun or has ended, or whose containers do not run. A pod that is being
// deleted has connections until its process ends.
func targetOf(pod *corev1.Pod) (target, bool) {
	t := target{
		uid:       pod.UID,
		namespace: pod.Namespace,
		name:      pod.Name,
		proxy:     pod.Labels[wsproxyv1alpha1.LabelProxy],
		ip:        pod.Status.PodIP,
	}
	return t, pod.Status.Phase == corev1.PodRunning && t.ip != "" && t.proxy != "" && runs(pod)
}

// runs reports whether any container runs. While the kubelet has not reported
// the state of any, the phase is believed.
func runs(pod *corev1.Pod) bool {
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Running != nil {
			return true
		}
	}
	return len(pod.Status.ContainerStatuses) == 0
}

// restartsOf counts the processes of a pod that have ended and that another one has
// followed. It may count a sidecar's: then it is not important.
func restartsOf(pod *corev1.Pod) (n int32) {
	for _, c := range pod.Status.ContainerStatuses {
		n += c.RestartCount
	}
	return n
}

// strip leaves of a pod what targetOf and restartsOf read: there may be thousands of pods, and
// most of what is known of them is of no use here.
func strip(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	stripped := &corev1.Pod{}
	stripped.Name, stripped.Namespace, stripped.UID = pod.Name, pod.Namespace, pod.UID
	stripped.ResourceVersion, stripped.Labels = pod.ResourceVersion, pod.Labels
	stripped.Status.Phase, stripped.Status.PodIP = pod.Status.Phase, pod.Status.PodIP
	for _, c := range pod.Status.ContainerStatuses {
		stripped.Status.ContainerStatuses = append(stripped.Status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, State: c.State, RestartCount: c.RestartCount})
	}
	return stripped, nil
}
