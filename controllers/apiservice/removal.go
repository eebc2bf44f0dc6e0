// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservice

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Removal removes the APIService when the namespace of the server behind it is
// being deleted. Nobody would answer for its group any more, and as long as it is
// registered no namespace of the whole cluster can be deleted, that one included:
// the namespace controller waits until it can ask every API for what is left
// (kubernetes#119662).
type Removal struct {
	// Client reads the namespace from the cache, and deletes.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Namespace of the aggregated API server.
	Namespace string
}

// Reconcile deletes the APIService if it is ours and the namespace is going away.
func (r *Removal) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := r.Client.Get(ctx, types.NamespacedName{Name: r.Namespace}, namespace); err != nil {
		// One that is gone took this operator with it.
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if namespace.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil
	}
	service, err := read(ctx, r.Live, r.Namespace)
	if err != nil || service == nil {
		return reconcile.Result{}, err
	}
	// With the uid and the resourceVersion, one that leads elsewhere by now stays.
	uid, version := service.GetUID(), service.GetResourceVersion()
	err = r.Client.Delete(ctx, service, client.Preconditions{UID: &uid, ResourceVersion: &version})
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	}
	if err := client.IgnoreNotFound(err); err != nil {
		return reconcile.Result{}, fmt.Errorf("delete APIService %s: %w", Name, err)
	}
	logr.FromContextOrDiscard(ctx).Info("APIService deleted, because the namespace of its server is being deleted", "namespace", r.Namespace)
	return reconcile.Result{}, nil
}

// SetupWithManager registers the controller with the namespace.
func (r *Removal) SetupWithManager(m manager.Manager) error {
	return builder.ControllerManagedBy(m).
		Named("apiservice-removal").
		// The cache holds this one only, by the name.
		WatchesMetadata(&corev1.Namespace{}, &handler.EnqueueRequestForObject{}).
		// The operators' pods go first, the leader's perhaps before the others'.
		WithOptions(controller.Options{NeedLeaderElection: new(false)}).
		Complete(r)
}
