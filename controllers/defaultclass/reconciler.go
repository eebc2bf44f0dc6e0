// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package defaultclass

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

const (
	// Name of the class. The operator's RBAC names it, too: no other class can
	// be written.
	Name = "default"

	// FieldOwner owns the fields that the installation sets. What others add
	// to the class is left alone, and a field that the installation no longer
	// sets is removed.
	FieldOwner = "wsproxy-default-class"
)

// Reconciler keeps the class as the installation says.
type Reconciler struct {
	// Client writes.
	Client client.Client
	// Spec of the class.
	Spec Spec
}

// Reconcile applies the class. Where it already is as it should be, the API
// server writes nothing, and no event comes of it.
func (r *Reconciler) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	desired := r.desired()
	if err := r.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(desired), client.FieldOwner(FieldOwner), client.ForceOwnership); err != nil {
		return reconcile.Result{}, fmt.Errorf("apply WebSocketProxyClass %s: %w", Name, err)
	}
	log.FromContext(ctx).V(1).Info("default class applied", "resourceVersion", desired.GetResourceVersion())
	return reconcile.Result{}, nil
}

// desired is made anew each time, since Apply writes the answer into it.
func (r *Reconciler) desired() *unstructured.Unstructured {
	class := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{
			"name":        Name,
			"annotations": map[string]any{wsproxyv1alpha1.DefaultClassAnnotation: "true"},
			"labels": map[string]any{
				"app.kubernetes.io/name":       "wsproxy",
				"app.kubernetes.io/managed-by": "wsproxy-operator",
			},
		},
	}}
	if len(r.Spec) > 0 {
		class.Object["spec"] = map[string]any(r.Spec)
	}
	class.SetGroupVersionKind(wsproxyv1alpha1.GroupVersion.WithKind("WebSocketProxyClass"))
	return class.DeepCopy()
}

// SetupWithManager registers the reconciler with the class, and has it run once at
// the start, when there may be no class yet to tell of itself.
func (r *Reconciler) SetupWithManager(m manager.Manager) error {
	first := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue.Add(reconcile.Request{NamespacedName: client.ObjectKey{Name: Name}})
		return nil
	})
	named := predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetName() == Name })
	// The status is not the installation's.
	ours := predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, predicate.LabelChangedPredicate{})
	return builder.ControllerManagedBy(m).
		Named("default-class").
		Watches(&wsproxyv1alpha1.WebSocketProxyClass{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(named, ours)).
		WatchesRawSource(first).
		Complete(r)
}
