// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/objects"
)

// sources says what the configuration is made from.
func (w *work) sources() string {
	sources := sourceOf(w.proxy)
	if w.class != nil {
		sources += " " + sourceOf(w.class)
	}
	return sources
}

func sourceOf(o client.Object) string {
	return fmt.Sprintf("%s/%d", o.GetUID(), o.GetGeneration())
}

// isBehind returns a Conflict where the ConfigMap was made from something newer than
// what the cache has: another operator leads too, and has heard of a change before
// us. The ConfigMap's resourceVersion does not tell, because it is not the cache of
// ConfigMaps that is behind.
func (w *work) isBehind(current *corev1.ConfigMap) error {
	if current == nil {
		return nil
	}
	known := []client.Object{w.proxy}
	if w.class != nil {
		known = append(known, w.class)
	}
	for source := range strings.FieldsSeq(current.Annotations[objects.AnnotationMadeFrom]) {
		uid, number, _ := strings.Cut(source, "/")
		generation, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			continue // Nobody but us writes it, and never like that.
		}
		for _, k := range known {
			if string(k.GetUID()) == uid && k.GetGeneration() < generation {
				return behind(client.ObjectKeyFromObject(k), k.GetGeneration(), generation)
			}
		}
	}
	return nil
}

func behind(key client.ObjectKey, known, has int64) error {
	return apierrors.NewConflict(schema.GroupResource{Group: wsproxyv1alpha1.GroupVersion.Group}, key.String(),
		fmt.Errorf("generation %d is known, it has %d", known, has))
}

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
	return behind(key, cached.GetGeneration(), live.GetGeneration())
}
