// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// concurrency is how many proxies are reconciled at a time: each mostly waits for
// the API server.
const concurrency = 8

// Signals bring proxies to the controller that others than Kubernetes have news
// of. What comes before the controller runs is dropped: it looks at every proxy
// when it starts.
type Signals struct {
	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Proxy makes the controller look at a proxy. It does not block.
func (s *Signals) Proxy(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue != nil {
		s.queue.Add(reconcile.Request{NamespacedName: name})
	}
}

// start implements source.Func.
func (s *Signals) start(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = queue
	return nil
}

// statusChanged lets a status through that was written: it may have been by an
// operator that led until a moment ago, and not be true.
var statusChanged = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*wsproxyv1alpha1.WebSocketProxy)
		after, isProxy := e.ObjectNew.(*wsproxyv1alpha1.WebSocketProxy)
		return ok && isProxy && !equality.Semantic.DeepEqual(before.Status, after.Status)
	},
}

// inherited lets the news of a class pass that concern its proxies: what it says,
// and whether it is the default. How many they are concerns none of them.
var inherited = predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})

// SetupWithManager registers the reconciler with everything that it looks at.
func (r *Reconciler) SetupWithManager(ctx context.Context, m manager.Manager, signals *Signals) error {
	if err := index(ctx, m.GetFieldIndexer()); err != nil {
		return err
	}
	return builder.ControllerManagedBy(m).
		Named("websocketproxy").
		For(&wsproxyv1alpha1.WebSocketProxy{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, statusChanged))).
		Owns(&appsv1.Deployment{}).
		Owns(&corev1.Service{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&corev1.ServiceAccount{}).
		Owns(&policyv1.PodDisruptionBudget{}).
		Owns(&networkingv1.NetworkPolicy{}).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(byLabel)).
		Watches(&wsproxyv1alpha1.WebSocketProxyClass{}, handler.EnqueueRequestsFromMapFunc(r.byClass), builder.WithPredicates(inherited)).
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(r.byService)).
		Watches(&discoveryv1.EndpointSlice{}, handler.EnqueueRequestsFromMapFunc(r.bySlice)).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.bySecret)).
		WatchesRawSource(source.Func(signals.start)).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency}).
		Complete(r)
}
