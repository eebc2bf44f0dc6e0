// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/objects"
	"github.com/wsproxy/wsproxy/controllers/references"
)

// The indices of the cache.
const (
	// indexProxy: pods by the proxy of their label.
	indexProxy = "wsproxy.io/proxy"
	// indexService: EndpointSlices, proxies and ConfigMaps by their Service.
	indexService = "wsproxy.io/service"
	// indexClass: proxies by spec.className, "" included.
	indexClass = "wsproxy.io/class"
	// indexSecret: proxies by the Secrets that they name.
	indexSecret = "wsproxy.io/secret" // #nosec G101 -- a name, not a credential.
)

func index(ctx context.Context, indexer client.FieldIndexer) error {
	for _, i := range []struct {
		object client.Object
		field  string
		values client.IndexerFunc
	}{
		{&corev1.Pod{}, indexProxy, func(o client.Object) []string {
			return []string{o.GetLabels()[wsproxyv1alpha1.LabelProxy]}
		}},
		{&discoveryv1.EndpointSlice{}, indexService, func(o client.Object) []string {
			return []string{o.GetLabels()[discoveryv1.LabelServiceName]}
		}},
		{&corev1.ConfigMap{}, indexService, func(o client.Object) []string {
			name, _, _ := parseService(o.GetAnnotations()[objects.AnnotationUpstreamService])
			return []string{name}
		}},
		{&wsproxyv1alpha1.WebSocketProxy{}, indexService, func(o client.Object) []string {
			if ref := o.(*wsproxyv1alpha1.WebSocketProxy).Spec.Upstream.ServiceRef; ref != nil {
				return []string{ref.Name}
			}
			return nil
		}},
		{&wsproxyv1alpha1.WebSocketProxy{}, indexClass, func(o client.Object) []string {
			return []string{o.(*wsproxyv1alpha1.WebSocketProxy).Spec.ClassName}
		}},
		{&wsproxyv1alpha1.WebSocketProxy{}, indexSecret, func(o client.Object) []string {
			return references.Names(&o.(*wsproxyv1alpha1.WebSocketProxy).Spec)
		}},
	} {
		if err := indexer.IndexField(ctx, i.object, i.field, i.values); err != nil {
			return fmt.Errorf("index %T by %s: %w", i.object, i.field, err)
		}
	}
	return nil
}

// byLabel maps a pod to its proxy.
func byLabel(_ context.Context, o client.Object) []reconcile.Request {
	name := o.GetLabels()[wsproxyv1alpha1.LabelProxy]
	if name == "" {
		return nil
	}
	return []reconcile.Request{request(o.GetNamespace(), name)}
}

// byClass maps a class to the proxies that name it, and to those that name none,
// because it may be, or have been, the default.
func (r *Reconciler) byClass(ctx context.Context, o client.Object) []reconcile.Request {
	return append(r.proxies(ctx, client.MatchingFields{indexClass: o.GetName()}),
		r.proxies(ctx, client.MatchingFields{indexClass: ""})...)
}

func (r *Reconciler) byService(ctx context.Context, o client.Object) []reconcile.Request {
	return r.ofService(ctx, o.GetNamespace(), o.GetName())
}

func (r *Reconciler) bySlice(ctx context.Context, o client.Object) []reconcile.Request {
	return r.ofService(ctx, o.GetNamespace(), o.GetLabels()[discoveryv1.LabelServiceName])
}

// ofService returns the proxies whose spec names a Service, and those whose pods
// have endpoints of it because their spec is not accepted at the moment.
func (r *Reconciler) ofService(ctx context.Context, namespace, name string) []reconcile.Request {
	if name == "" {
		return nil
	}
	requests := r.proxies(ctx, client.InNamespace(namespace), client.MatchingFields{indexService: name})
	var configs corev1.ConfigMapList
	if err := r.Client.List(ctx, &configs, client.InNamespace(namespace), client.MatchingFields{indexService: name}); err != nil {
		return requests
	}
	for i := range configs.Items {
		requests = append(requests, request(namespace, configs.Items[i].Labels[wsproxyv1alpha1.LabelProxy]))
	}
	return requests
}

// bySecret maps a Secret to the proxies that name it, and to the proxy whose own
// it is.
func (r *Reconciler) bySecret(ctx context.Context, o client.Object) []reconcile.Request {
	// The cache has the Secrets of the operator's own namespace in any case.
	if len(r.Watched) > 0 && !slices.Contains(r.Watched, o.GetNamespace()) {
		return nil
	}
	requests := r.proxies(ctx, client.InNamespace(o.GetNamespace()), client.MatchingFields{indexSecret: o.GetName()})
	return append(requests, byLabel(ctx, o)...)
}

// proxies lists from the cache, which fails only while the operator stops.
func (r *Reconciler) proxies(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var list wsproxyv1alpha1.WebSocketProxyList
	if err := r.Client.List(ctx, &list, options...); err != nil {
		return nil
	}
	requests := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, request(list.Items[i].Namespace, list.Items[i].Name))
	}
	return requests
}

// All returns every proxy that the cache knows.
func (r *Reconciler) All(ctx context.Context) []types.NamespacedName {
	var names []types.NamespacedName
	for _, request := range r.proxies(ctx) {
		names = append(names, request.NamespacedName)
	}
	return names
}

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}
