// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// isCurrent returns a Conflict unless proxy and class are as in the API server. A
// cache may be behind with all of them. Its old proxy with the new resourceVersion
// of the ConfigMap would be written without a conflict, and push the settings
// backwards.
func (r *Reconciler) isCurrent(ctx context.Context, w *work) error {
	proxy := &wsproxyv1alpha1.WebSocketProxy{}
	if err := r.asCached(ctx, w.proxy, proxy); err != nil || w.class == nil {
		return err
	}
	return r.asCached(ctx, w.class, &wsproxyv1alpha1.WebSocketProxyClass{})
}

// asCached reads live what the cache has, and returns a Conflict where its spec
// is another.
func (r *Reconciler) asCached(ctx context.Context, cached, live client.Object) error {
	key := client.ObjectKeyFromObject(cached)
	if err := r.Live.Get(ctx, key, live); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read %T %s: %w", live, key, err)
	}
	if live.GetUID() == cached.GetUID() && live.GetGeneration() == cached.GetGeneration() {
		return nil
	}
	return apierrors.NewConflict(schema.GroupResource{Group: wsproxyv1alpha1.GroupVersion.Group}, key.String(),
		fmt.Errorf("generation %d is known, it has %d", cached.GetGeneration(), live.GetGeneration()))
}
