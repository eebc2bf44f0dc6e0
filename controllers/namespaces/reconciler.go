// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package namespaces

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/objects"
)

// The condition of a Namespace, and its reasons.
const (
	// Condition is True while data-plane pods are left in a namespace that is
	// being deleted.
	Condition = "wsproxy.io/PodsRemaining"
	// ReasonDraining: they are about to be gone.
	ReasonDraining = "Draining"
	// ReasonDrained: they are.
	ReasonDrained = "Drained"
)

// Reconciler writes the condition. It is called with the name of a namespace.
type Reconciler struct {
	// Client reads pods and ConfigMaps from the cache, and writes.
	Client client.Client
	// Live reads Namespaces, which are not in the cache: one is looked at only
	// when the last of its pods end, and when it has a proxy and no pod.
	Live client.Reader
	Now  func() time.Time
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(request.Name)); err != nil {
		return reconcile.Result{}, fmt.Errorf("list pods: %w", err)
	}
	now := r.Now()
	far, wait := judge(pods.Items, now, func(pod *corev1.Pod) (time.Duration, bool) { return r.window(ctx, pod) })
	if far == staying {
		return reconcile.Result{}, nil
	}
	namespace := &corev1.Namespace{}
	if err := r.Live.Get(ctx, request.NamespacedName, namespace); apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	} else if err != nil {
		return reconcile.Result{}, fmt.Errorf("read Namespace %s: %w", request.Name, err)
	}
	if namespace.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil
	}
	condition := corev1ac.NamespaceCondition().WithType(Condition).WithLastTransitionTime(metav1.NewTime(now))
	switch far {
	case leaving:
		condition.WithStatus(corev1.ConditionTrue).WithReason(ReasonDraining).WithMessage("The data-plane pods are closing their last connections.")
	case gone:
		condition.WithStatus(corev1.ConditionFalse).WithReason(ReasonDrained).WithMessage("No data-plane pod is left.")
	default:
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	return reconcile.Result{}, r.tell(ctx, namespace, condition)
}

// tell writes the condition, unless the namespace says it already.
func (r *Reconciler) tell(ctx context.Context, namespace *corev1.Namespace, condition *corev1ac.NamespaceConditionApplyConfiguration) error {
	if slices.ContainsFunc(namespace.Status.Conditions, func(c corev1.NamespaceCondition) bool {
		return c.Type == *condition.Type && c.Status == *condition.Status
	}) {
		return nil
	}
	reason := *condition.Reason // Apply leaves the answer of the API server in desired.
	// With its uid, no other namespace of that name is written.
	desired := corev1ac.Namespace(namespace.Name).
		WithUID(namespace.UID).
		WithStatus(corev1ac.NamespaceStatus().WithConditions(condition))
	err := r.Client.Status().Apply(ctx, desired, client.FieldOwner(objects.FieldOwner), client.ForceOwnership)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		// It has gone.
		return nil
	}
	if err != nil {
		return fmt.Errorf("apply condition of Namespace %s: %w", namespace.Name, err)
	}
	logr.FromContextOrDiscard(ctx).Info("namespace told", "reason", reason)
	return nil
}

// window returns the drain window that a pod was given.
func (r *Reconciler) window(ctx context.Context, pod *corev1.Pod) (time.Duration, bool) {
	config := &corev1.ConfigMap{}
	name := types.NamespacedName{Namespace: pod.Namespace, Name: objects.Name(pod.Labels[wsproxyv1alpha1.LabelProxy])}
	if err := r.Client.Get(ctx, name, config); err != nil {
		return 0, false
	}
	snapshot, err := dataplanev1alpha1.UnmarshalSnapshot([]byte(config.Data[dataplanev1alpha1.SnapshotFile]))
	if err != nil {
		return 0, false
	}
	return time.Duration(snapshot.GetDrain().GetTimeoutSeconds()) * time.Second, true
}

// SetupWithManager registers the reconciler with the pods that end, and with the
// proxies: what ended while no operator worked, nobody tells. Kubernetes deletes
// the proxies of a namespace after its pods.
func (r *Reconciler) SetupWithManager(m manager.Manager) error {
	return builder.ControllerManagedBy(m).
		Named("namespace").
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(byNamespace), builder.WithPredicates(ends)).
		Watches(&wsproxyv1alpha1.WebSocketProxy{}, handler.EnqueueRequestsFromMapFunc(byNamespace), builder.WithPredicates(found)).
		Complete(r)
}

func byNamespace(_ context.Context, o client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: o.GetNamespace()}}}
}

var (
	// ends lets the news of pods pass that are ending or have ended.
	ends = predicate.Funcs{
		CreateFunc:  func(e event.CreateEvent) bool { return e.Object.GetDeletionTimestamp() != nil },
		UpdateFunc:  func(e event.UpdateEvent) bool { return e.ObjectNew.GetDeletionTimestamp() != nil },
		DeleteFunc:  func(event.DeleteEvent) bool { return true },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
	// found lets the news pass that there is something, as there is of everything
	// when an operator begins to work.
	found = predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return true },
		UpdateFunc:  func(event.UpdateEvent) bool { return false },
		DeleteFunc:  func(event.DeleteEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
)
