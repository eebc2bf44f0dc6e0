// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsproxy/wsproxy/controllers/objects"
)

const (
	// costInterval is the least time between two changes of the deletion cost of a pod
	// while no pods are taken away.
	costInterval = 30 * time.Second
	// costSlack is by how many connections the deletion cost of a pod may be wrong
	// meanwhile, or by a quarter of what it says if that is more. From nothing to
	// 20,000 connections it is written 31 times.
	costSlack = 8
)

// weigh tells Kubernetes what it costs to delete each pod: its connections. Of the
// pods that are ready, a ReplicaSet deletes those with the lowest cost first; none is
// a cost of 0.
//
// Every write of a pod is an event for each who watches pods, so the cost is kept up
// roughly, and made exact right before the Deployment is told that fewer pods are
// wanted. A pod that cannot be weighed is no reason not to do the rest.
func (r *Reconciler) weigh(ctx context.Context, w *work) error {
	exact := w.shrinks()
	r.mu.Lock()
	before, after := r.weighed[w.key], map[types.UID]time.Time{}
	r.mu.Unlock()
	for _, p := range w.pods {
		at, known := before[p.uid]
		if known {
			after[p.uid] = at
		}
		cost := min(max(p.pushed.Connections, 0), math.MaxInt32)
		// Nothing is known of a pod that has not answered yet; what drains goes anyway.
		if p.leaving || p.pushed.Version == 0 || !costChanged(p.cost, cost, exact) {
			continue
		}
		if wait := costInterval - w.now.Sub(at); known && !exact && wait > 0 {
			w.after(wait)
			continue
		}
		after[p.uid] = w.now
		err := r.setCost(ctx, w.key.Namespace, p, cost)
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			logr.FromContextOrDiscard(ctx).Error(err, "the deletion cost of a pod is not what it should be", "pod", p.name, "cost", cost)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.weighed == nil {
		r.weighed = map[types.NamespacedName]map[types.UID]time.Time{}
	}
	r.weighed[w.key] = after
	return nil
}

// shrinks says whether the Deployment is about to be told that fewer pods are wanted.
func (w *work) shrinks() bool {
	d := w.deployment
	return d != nil && d.Spec.Replicas != nil && w.proxy.Spec.EffectiveReplicas() < *d.Spec.Replicas
}

func costChanged(before, now int64, exact bool) bool {
	off := max(before-now, now-before)
	return off > max(before/4, costSlack) || exact && off > 0
}

// costOf returns the deletion cost that a pod has. What is no number the API server
// does not accept.
func costOf(pod *corev1.Pod) int64 {
	cost, _ := strconv.ParseInt(pod.Annotations[corev1.PodDeletionCost], 10, 32)
	return cost
}

// setCost writes the deletion cost of a pod. Errors: those of the API server,
// Conflict among them where the pod of that name is another one by now.
func (r *Reconciler) setCost(ctx context.Context, namespace string, p observedPod, cost int64) error {
	pod := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: p.name}}
	pod.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	patch := fmt.Appendf(nil, `{"metadata":{"uid":%q,"annotations":{%q:"%d"}}}`, p.uid, corev1.PodDeletionCost, cost)
	return r.Client.Patch(ctx, pod, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(objects.FieldOwner))
}
