// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsproxy/wsproxy/controllers/objects"
	"github.com/wsproxy/wsproxy/controllers/push"
)

type namespacedName = types.NamespacedName

// observe reads the Deployment and its pods.
func (r *Reconciler) observe(ctx context.Context, w *work) error {
	deployment := &appsv1.Deployment{}
	err := r.Client.Get(ctx, objects.Key(w.proxy), deployment)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read Deployment %s: %w", objects.Key(w.proxy), err)
	}
	if err == nil && metav1.IsControlledBy(deployment, w.proxy) {
		w.deployment = deployment
	}
	for _, next := range r.Rollouts.Observe(w.key, w.deployment) {
		r.Look(next)
	}
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(w.proxy.Namespace), client.MatchingFields{indexProxy: w.proxy.Name}); err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		// A pod that drains still relays, so it is pushed to until it is gone.
		if !isOf(pod, w.proxy.Name) || pod.Status.Phase != corev1.PodRunning && pod.Status.Phase != corev1.PodPending {
			continue
		}
		observed := observedPod{name: pod.Name, uid: pod.UID, ready: isReady(pod), leaving: pod.DeletionTimestamp != nil, cost: costOf(pod)}
		if pod.Status.Phase == corev1.PodRunning && pod.Status.PodIP != "" {
			observed.target = push.Target{Name: pod.Name, UID: pod.UID, Run: runOf(pod), Address: r.ControlAddress(pod)}
		}
		w.pods = append(w.pods, observed)
	}
	slices.SortFunc(w.pods, func(a, b observedPod) int { return cmp.Compare(a.name, b.name) })
	return nil
}

// isOf says whether a pod is of the Deployment of a proxy. The labels alone anybody
// may give to a pod. A ReplicaSet is named after its Deployment and its template, so
// that there is no need to watch those, too.
func isOf(pod *corev1.Pod, proxy string) bool {
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind == "ReplicaSet" &&
		owner.Name == objects.Name(proxy)+"-"+pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
}

// push tells the pusher what the pods should have. Its answers come later, and
// each brings the proxy back here.
func (r *Reconciler) push(_ context.Context, w *work) error {
	if w.snapshot != nil {
		var targets []push.Target
		for _, p := range w.pods {
			if p.target.Address != "" {
				targets = append(targets, p.target)
			}
		}
		if err := r.Pusher.Set(w.key, w.snapshot, targets); err != nil {
			return err
		}
	}
	known := r.Pusher.Pods(w.key)
	for i := range w.pods {
		w.pods[i].pushed = known[w.pods[i].uid]
	}
	w.observed = true
	return nil
}

// runOf names one run of the data-plane container.
func runOf(pod *corev1.Pod) string {
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name == objects.ContainerName {
			return c.ContainerID
		}
	}
	return ""
}
