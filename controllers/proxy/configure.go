// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/objects"
)

// configure writes the ConfigMap and takes its resourceVersion as the version of
// the snapshot. The same content is not written again. The write names the
// resourceVersion that it is based on, so that of two operators the one that is
// behind fails.
func (r *Reconciler) configure(ctx context.Context, w *work) error {
	if w.blocked != nil {
		return nil
	}
	newer := r.newer(w.key)
	current, err := r.config(ctx, w, len(newer) > 0)
	if err != nil {
		return err
	}
	add, err := raised(current, newer)
	if err != nil {
		return err
	}
	if current != nil && add != offset(current) && !r.mayRaise(w) {
		add = offset(current)
	}
	snapshot, from, err := r.snapshot(ctx, w, current)
	if err != nil || snapshot == nil {
		return err
	}
	desired, err := objects.ConfigMap(w.proxy, snapshot, from)
	if err != nil {
		return err
	}
	if add > 0 {
		desired.WithAnnotations(map[string]string{objects.AnnotationVersionOffset: strconv.FormatUint(add, 10)})
	}
	// A ConfigMap that lost the labels by which the cache selects is still there.
	if found, err := r.Applier.Find(ctx, w.proxy, desired, orNil(current)); err != nil {
		return w.settle(err)
	} else if found != nil && current == nil {
		if err := r.isCurrent(ctx, w); err != nil {
			return err
		}
		desired.WithResourceVersion(found.GetResourceVersion())
	}
	if current != nil {
		desired.WithResourceVersion(current.ResourceVersion)
	}
	back := current != nil && add != offset(current)
	if current == nil || back || !carries(current, desired) {
		if err := w.isBehind(current); err != nil {
			r.remember(w, nil) // See below.
			return err
		}
		sources := w.sources()
		if w.held() && current != nil {
			sources = current.Annotations[objects.AnnotationMadeFrom]
		}
		if sources != "" {
			desired.WithAnnotations(map[string]string{objects.AnnotationMadeFrom: sources})
		}
		if _, err := r.Applier.Write(ctx, desired); err != nil {
			if apierrors.IsConflict(err) {
				// What is remembered may be of a cluster that went back in time.
				r.remember(w, nil)
			}
			return w.settle(err)
		}
		if back {
			r.noteRaised(w)
			r.announceRestored(ctx, w, newer)
		}
		if current, err = written(desired); err != nil {
			return err
		}
		r.remember(w, current)
		logr.FromContextOrDiscard(ctx).Info("configuration written", "version", version(current))
	}
	snapshot.Version = version(current)
	w.snapshot = snapshot
	return nil
}

// snapshot returns what the pods should have, and the Service that its
// endpoints are from. While the spec is not put in force that is what they had,
// with the endpoints as they are now; nil where they had nothing.
func (r *Reconciler) snapshot(ctx context.Context, w *work, current *corev1.ConfigMap) (*dataplanev1alpha1.Snapshot, string, error) {
	if !w.held() {
		snapshot := dataplanev1alpha1.SnapshotOf(w.proxy, w.class)
		snapshot.Upstream.Endpoints = w.endpoints
		return snapshot, objects.UpstreamService(w.proxy), nil
	}
	if current == nil {
		return nil, "", nil
	}
	snapshot, err := dataplanev1alpha1.UnmarshalSnapshot([]byte(current.Data[dataplanev1alpha1.SnapshotFile]))
	if err != nil {
		return nil, "", fmt.Errorf("ConfigMap %s: %w", current.Name, err)
	}
	from := current.Annotations[objects.AnnotationUpstreamService]
	if name, port, ok := parseService(from); ok && snapshot.GetUpstream() != nil {
		found, _, err := r.endpoints(ctx, w.proxy.Namespace, name, port)
		if err != nil {
			return nil, "", err
		}
		snapshot.Upstream.Endpoints = found
	}
	return snapshot, from, nil
}

// config returns the ConfigMap as it is, nil where there is none: from the
// cache, or as it was written last if the cache is behind that, or from the API
// server if a pod knows something newer than either.
func (r *Reconciler) config(ctx context.Context, w *work, newer bool) (*corev1.ConfigMap, error) {
	if newer {
		return r.liveConfig(ctx, w)
	}
	key := objects.Key(w.proxy)
	cached := &corev1.ConfigMap{}
	if err := r.Client.Get(ctx, key, cached); apierrors.IsNotFound(err) {
		cached = nil
	} else if err != nil {
		return nil, fmt.Errorf("read ConfigMap %s: %w", key, err)
	}
	r.mu.Lock()
	remembered := r.configs[w.key]
	r.mu.Unlock()
	if remembered == nil || !metav1.IsControlledBy(remembered, w.proxy) || cached != nil && version(cached) >= version(remembered) {
		return cached, nil
	}
	if cached != nil {
		return remembered, nil
	}
	// Not in the cache: not yet, or not any more.
	return r.liveConfig(ctx, w)
}

// liveConfig returns the ConfigMap from the API server, nil where there is none.
// Errors: those of the API server, and those of isCurrent.
func (r *Reconciler) liveConfig(ctx context.Context, w *work) (*corev1.ConfigMap, error) {
	live, key := &corev1.ConfigMap{}, objects.Key(w.proxy)
	if err := r.Live.Get(ctx, key, live); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read ConfigMap %s: %w", key, err)
	}
	return live, r.isCurrent(ctx, w)
}

func (r *Reconciler) remember(w *work, config *corev1.ConfigMap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.configs == nil {
		r.configs = map[namespacedName]*corev1.ConfigMap{}
	}
	r.configs[w.key] = config
}

// carries says whether a ConfigMap has everything that is desired of it.
func carries(current *corev1.ConfigMap, desired *corev1ac.ConfigMapApplyConfiguration) bool {
	for k, v := range desired.Labels {
		if current.Labels[k] != v {
			return false
		}
	}
	return maps.Equal(current.Data, desired.Data) &&
		metav1.GetControllerOf(current) != nil &&
		current.Annotations[objects.AnnotationUpstreamService] == desired.Annotations[objects.AnnotationUpstreamService]
}

// written returns the ConfigMap that the API server answered an apply with.
func written(answer *corev1ac.ConfigMapApplyConfiguration) (*corev1.ConfigMap, error) {
	raw, err := json.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("encode ConfigMap: %w", err)
	}
	config := &corev1.ConfigMap{}
	if err := json.Unmarshal(raw, config); err != nil {
		return nil, fmt.Errorf("decode ConfigMap: %w", err)
	}
	return config, nil
}
