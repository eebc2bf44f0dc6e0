// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/push"
)

// announceRestored tells that pods knew versions that the cluster has forgotten.
func (r *Reconciler) announceRestored(ctx context.Context, w *work, newer []push.Pod) {
	var highest uint64
	for _, p := range newer {
		highest = max(highest, p.Version)
	}
	logr.FromContextOrDiscard(ctx).Info("the cluster went back in time, versions go on from those of the pods", "version", highest)
	r.Recorder.Eventf(w.proxy, nil, corev1.EventTypeWarning, "ClusterRestored", "Reconcile",
		"the pods have configuration version %d, which the cluster has forgotten, as after a restore from a backup; they are given the present configuration under a higher one", highest)
}

// announce makes an event of each change that a person wants to know of: the
// spec or a reference is refused, for whatever new reason, or is good again.
func (r *Reconciler) announce(w *work, before, after []metav1.Condition) {
	for _, kind := range []string{wsproxyv1alpha1.ConditionAccepted, wsproxyv1alpha1.ConditionResolvedRefs} {
		was, is := meta.FindStatusCondition(before, kind), meta.FindStatusCondition(after, kind)
		switch {
		case is.Status == metav1.ConditionFalse && (was == nil || was.Status != is.Status || was.Reason != is.Reason):
			r.Recorder.Eventf(w.proxy, nil, corev1.EventTypeWarning, is.Reason, "Reconcile", "%s", is.Message)
		case is.Status == metav1.ConditionTrue && was != nil && was.Status == metav1.ConditionFalse:
			r.Recorder.Eventf(w.proxy, nil, corev1.EventTypeNormal, is.Reason, "Reconcile", "%s", is.Message)
		}
	}
}
