// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/objects"
)

// report writes the status that follows from the work, if it is another one
// than before, and the events that a person wants to read. It is the only place
// where status is written. The patch names the resourceVersion of what was read,
// so that nothing old is written over something new.
func (r *Reconciler) report(ctx context.Context, w *work) error {
	before := &w.proxy.Status
	if r.starting(w) && before.ObservedGeneration == w.proxy.Generation &&
		before.Dataplane.ConfigVersion == dataplane(w).ConfigVersion {
		// What was written before this operator started holds until the pods
		// have answered it; each answer leads back here.
		return nil
	}
	after := before.DeepCopy()
	fill(after, w)
	counted := r.count(after, w)
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	next := w.proxy.DeepCopy()
	next.Status = *after
	patch := client.MergeFromWithOptions(w.proxy, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, next, patch, client.FieldOwner(objects.FieldOwner)); err != nil {
		return err
	}
	if counted {
		// Not before it is written: a conflict would cost another interval.
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.counted == nil {
			r.counted = map[types.NamespacedName]time.Time{}
		}
		r.counted[w.key] = w.now
	}
	r.announce(w, before.Conditions, after.Conditions)
	return nil
}

// starting says whether this operator has not heard of every pod that takes
// clients since it started.
func (r *Reconciler) starting(w *work) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heard[w.key] || w.snapshot == nil {
		return false
	}
	for _, p := range w.readyPods() {
		if !p.pushed.Acknowledged && p.pushed.Problem == nil {
			return true
		}
	}
	if r.heard == nil {
		r.heard = map[types.NamespacedName]bool{}
	}
	r.heard[w.key] = true
	return false
}

// fill computes everything but the connections.
func fill(status *wsproxyv1alpha1.WebSocketProxyStatus, w *work) {
	generation := w.proxy.Generation
	status.ObservedGeneration = generation
	wanted := conditions(w)
	for _, c := range wanted {
		c.ObservedGeneration = generation
		c.LastTransitionTime = metav1.NewTime(w.now)
		meta.SetStatusCondition(&status.Conditions, c)
	}
	if meta.FindStatusCondition(wanted, wsproxyv1alpha1.ConditionStalled) == nil {
		meta.RemoveStatusCondition(&status.Conditions, wsproxyv1alpha1.ConditionStalled)
	}
	status.Selector = objects.Selector(w.proxy.Name)
	if w.observed {
		countPods(status, w)
	}
	// What is held goes on with the class, the address and the settings that it
	// had, so these say what they said.
	if w.held() || w.failure != nil {
		return
	}
	status.ClassName = ""
	if w.class != nil {
		status.ClassName = w.class.Name
	}
	status.Address = objects.Address(w.proxy)
	status.EffectiveSettings = new(w.proxy.Spec.Settings.Effective(w.class))
	status.EffectiveLimits = w.proxy.Spec.Limits.Effective(w.class)
	status.EffectiveDrain = new(w.proxy.Spec.Drain.Effective(w.class))
}

// countPods is for pods that were looked at. Where a phase before that failed, the
// status says what it said: that pods which serve clients were gone would be
// believed by autoscalers, and by the admission policies, which warn of nothing
// where there are no pods.
func countPods(status *wsproxyv1alpha1.WebSocketProxyStatus, w *work) {
	// Not those that the Deployment says: it says them a moment later than the pods
	// do, and Programmed, which speaks of the pods, would be True beside 0.
	status.Replicas, status.ReadyReplicas = w.staying(), int32(len(w.readyPods())) // #nosec G115 -- at most some thousands.
	status.Dataplane = dataplane(w)
}

func dataplane(w *work) wsproxyv1alpha1.DataplaneStatus {
	var d wsproxyv1alpha1.DataplaneStatus
	for _, p := range w.pods {
		if p.target.Address == "" {
			continue
		}
		if p.leaving {
			d.Draining++
			continue
		}
		d.Pods++
		if p.pushed.Acknowledged {
			d.Programmed++
		}
	}
	if w.snapshot != nil {
		d.ConfigVersion = strconv.FormatUint(w.snapshot.GetVersion(), 10)
	}
	return d
}

// maxConnections is how many connections are believed of one pod: more than any
// has memory for, and so few that those of a thousand pods can be added up.
const maxConnections = 1 << 40

// count refreshes the number of connections, which changes all the time and must
// not make the status do so, and says whether it did.
func (r *Reconciler) count(status *wsproxyv1alpha1.WebSocketProxyStatus, w *work) bool {
	if !w.observed || r.starting(w) {
		return false
	}
	var connections int64
	for _, p := range w.pods {
		connections += min(max(p.pushed.Connections, 0), maxConnections)
	}
	if connections == status.Connections {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if wait := connectionsInterval - w.now.Sub(r.counted[w.key]); wait > 0 {
		w.after(wait)
		return false
	}
	status.Connections = connections
	return true
}
