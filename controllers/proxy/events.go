// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

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
