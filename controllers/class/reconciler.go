// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package class

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/objects"
)

// Reconciler counts the proxies of classes.
type Reconciler struct {
	// Client reads from the cache, and writes.
	Client client.Client
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	class := &wsproxyv1alpha1.WebSocketProxyClass{}
	err := r.Client.Get(ctx, request.NamespacedName, class)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("read WebSocketProxyClass %s: %w", request.Name, err)
	}
	status, err := r.count(ctx, class)
	if err != nil || equality.Semantic.DeepEqual(class.Status, status) {
		return reconcile.Result{}, err
	}
	counted := class.DeepCopy()
	counted.Status = status
	err = r.Client.Status().Patch(ctx, counted, client.MergeFrom(class), client.FieldOwner(objects.FieldOwner))
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("write status of WebSocketProxyClass %s: %w", request.Name, err)
	}
	return reconcile.Result{}, nil
}

// count returns the status of a class as the proxies are now.
func (r *Reconciler) count(ctx context.Context, class *wsproxyv1alpha1.WebSocketProxyClass) (wsproxyv1alpha1.WebSocketProxyClassStatus, error) {
	status := wsproxyv1alpha1.WebSocketProxyClassStatus{Default: class.IsDefault(), Proxies: new(int32(0)), Pods: new(int32(0))}
	defaults, err := r.defaults(ctx)
	if err != nil {
		return status, err
	}
	var proxies wsproxyv1alpha1.WebSocketProxyList
	if err := r.Client.List(ctx, &proxies, client.UnsafeDisableDeepCopy); err != nil {
		return status, fmt.Errorf("list WebSocketProxies: %w", err)
	}
	for i := range proxies.Items {
		p := &proxies.Items[i]
		// Of several defaults none is inherited from.
		byDefault := p.Spec.ClassName == "" && class.IsDefault() && len(defaults) == 1
		if p.Spec.ClassName == class.Name || byDefault {
			*status.Proxies++
			*status.Pods += p.Status.Replicas
		}
	}
	return status, nil
}

// defaults returns the names of the classes that are marked as the default.
func (r *Reconciler) defaults(ctx context.Context) ([]string, error) {
	var classes wsproxyv1alpha1.WebSocketProxyClassList
	if err := r.Client.List(ctx, &classes, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list WebSocketProxyClasses: %w", err)
	}
	var names []string
	for i := range classes.Items {
		if classes.Items[i].IsDefault() {
			names = append(names, classes.Items[i].Name)
		}
	}
	return names, nil
}
