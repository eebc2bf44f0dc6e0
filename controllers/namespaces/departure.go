// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package namespaces

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

const (
	// reaction is how long after a change of a namespace that is being deleted
	// Kubernetes looks what is in it (namespaceDeletionGracePeriod of its
	// namespace controller).
	reaction = 5 * time.Second
	// farewell is how long a pod stays after its drain window: its last clients
	// answer the close frame, the process ends, and the kubelet notices that
	// within a second and has the pod removed within another.
	farewell = 3 * time.Second
)

// departure is how far the data-plane pods of a namespace are on their way.
type departure int

const (
	// staying: Kubernetes has not deleted them all yet.
	staying departure = iota
	// draining: they are closing their connections.
	draining
	// leaving: they will be gone by the time that Kubernetes looks, if it is told
	// now.
	leaving
	// gone: no process is left.
	gone
)

// judge says how far pods are, and how long it takes from draining to leaving; 0
// where nobody knows. window returns the drain window of a pod.
func judge(pods []corev1.Pod, now time.Time, window func(*corev1.Pod) (time.Duration, bool)) (departure, time.Duration) {
	left, known := false, true
	var end time.Time
	for i := range pods {
		pod := &pods[i]
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		if pod.DeletionTimestamp == nil {
			return staying, 0
		}
		left = true
		drain, ok := window(pod)
		known = known && ok
		if e := asked(pod).Add(dataplanev1alpha1.AcceptWhileDraining + drain); e.After(end) {
			end = e
		}
	}
	switch tell := end.Add(farewell - reaction); {
	case !left:
		return gone, 0
	case !known:
		return draining, 0
	case now.Before(tell):
		return draining, tell.Sub(now)
	default:
		return leaving, 0
	}
}

// asked is when a pod was asked to end.
func asked(pod *corev1.Pod) time.Time {
	var grace int64
	if pod.DeletionGracePeriodSeconds != nil {
		grace = *pod.DeletionGracePeriodSeconds
	}
	return pod.DeletionTimestamp.Add(-time.Duration(grace) * time.Second)
}
