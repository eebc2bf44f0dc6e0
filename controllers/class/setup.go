// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package class

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// settle is the pause between the first news of a proxy and the count of its class,
// so that a thousand proxies that come together make the class be written once.
const settle = time.Second

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager registers the reconciler with the classes, their status included,
// which somebody else may have written, and with what there is to be counted.
func (r *Reconciler) SetupWithManager(m manager.Manager) error {
	proxies := handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { r.look(ctx, q, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { r.look(ctx, q, e.ObjectOld, e.ObjectNew) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { r.look(ctx, q, e.Object) },
	}
	return builder.ControllerManagedBy(m).
		Named("class").
		For(&wsproxyv1alpha1.WebSocketProxyClass{}).
		// A class that becomes the default, or is it no longer, may take the proxies
		// that name none from another one, or leave them to it.
		Watches(&wsproxyv1alpha1.WebSocketProxyClass{}, handler.EnqueueRequestsFromMapFunc(r.others), builder.WithPredicates(predicate.AnnotationChangedPredicate{})).
		Watches(&wsproxyv1alpha1.WebSocketProxy{}, proxies, builder.WithPredicates(counted)).
		Complete(r)
}

// counted lets the news of a proxy pass that change what is counted.
var counted = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := e.ObjectOld.(*wsproxyv1alpha1.WebSocketProxy), e.ObjectNew.(*wsproxyv1alpha1.WebSocketProxy)
		return before.Spec.ClassName != after.Spec.ClassName || before.Status.Replicas != after.Status.Replicas
	},
}

// look has the classes counted soon that any of the proxies inherits from.
func (r *Reconciler) look(ctx context.Context, q queue, proxies ...client.Object) {
	for _, o := range proxies {
		names := []string{o.(*wsproxyv1alpha1.WebSocketProxy).Spec.ClassName}
		if names[0] == "" {
			// It fails only while the operator stops.
			names, _ = r.defaults(ctx)
		}
		for _, name := range names {
			q.AddAfter(request(name), settle)
		}
	}
}

// others maps a class to every one that is marked as the default.
func (r *Reconciler) others(ctx context.Context, _ client.Object) []reconcile.Request {
	names, _ := r.defaults(ctx) // As above.
	requests := make([]reconcile.Request, 0, len(names))
	for _, name := range names {
		requests = append(requests, request(name))
	}
	return requests
}

func request(class string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: class}}
}
