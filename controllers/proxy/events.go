// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"

	"github.com/go-logr/logr"
	"google.golang.org/grpc/codes"
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
// spec or a reference is refused, for whatever new reason, or is good again; an
// object cannot be written; a pod refuses its configuration; pods are replaced. A
// settings change that arrives is none: its acknowledgement is in the status.
func (r *Reconciler) announce(w *work, before, after []metav1.Condition) {
	event := func(kind, reason, message string) {
		r.Recorder.Eventf(w.proxy, nil, kind, reason, "Reconcile", "%s", message)
	}
	told := ""
	for _, kind := range []string{wsproxyv1alpha1.ConditionAccepted, wsproxyv1alpha1.ConditionResolvedRefs} {
		was, is := meta.FindStatusCondition(before, kind), meta.FindStatusCondition(after, kind)
		switch {
		case is.Status == metav1.ConditionFalse && (was == nil || was.Status != is.Status || was.Reason != is.Reason):
			// A class that is missing is a reason for both.
			if is.Message != told {
				event(corev1.EventTypeWarning, is.Reason, is.Message)
			}
			told = is.Message
		case is.Status == metav1.ConditionTrue && was != nil && was.Status == metav1.ConditionFalse:
			event(corev1.EventTypeNormal, is.Reason, is.Message)
		}
	}
	was, is := meta.FindStatusCondition(before, wsproxyv1alpha1.ConditionProgrammed), meta.FindStatusCondition(after, wsproxyv1alpha1.ConditionProgrammed)
	if (is.Reason == wsproxyv1alpha1.ReasonApplyFailed || w.refused()) && (was == nil || was.Message != is.Message) {
		event(corev1.EventTypeWarning, is.Reason, is.Message)
	}
}

// refused says whether a pod that takes clients has said no to what it was pushed,
// which is something else than a pod that could not be reached.
func (w *work) refused() bool {
	for _, p := range w.readyPods() {
		if problem := p.pushed.Problem; problem != nil && (problem.Code == codes.InvalidArgument || problem.Code == codes.FailedPrecondition) {
			return true
		}
	}
	return false
}
