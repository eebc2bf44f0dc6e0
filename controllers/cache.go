// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsproxy/wsproxy/controllers/apiservice"
	"github.com/wsproxy/wsproxy/controllers/objects"
)

// CacheOptions restricts what the operator keeps of the cluster: of pods,
// Deployments and the like only its own. Services and EndpointSlices may be
// anybody's, because any of them may be an upstream, and of Secrets only the
// metadata are watched. Of the APIServices and of the namespaces it may see its own
// only, which the API server allows to who asks for that name.
//
// namespace is the operator's; watched are those whose proxies it serves, empty: all.
func CacheOptions(namespace string, watched []string) cache.Options {
	ours := cache.ByObject{Label: labels.SelectorFromSet(objects.Managed()), Transform: strip}
	secrets := cache.ByObject{Transform: stripSecret}
	only := map[string]cache.Config{}
	for _, name := range watched {
		only[name] = cache.Config{}
	}
	if len(only) > 0 {
		// Those of the installation are in its own namespace.
		secrets.Namespaces = maps.Clone(only)
		secrets.Namespaces[namespace] = cache.Config{}
	}
	return cache.Options{
		DefaultNamespaces: only,
		DefaultTransform:  strip,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:                   {Label: ours.Label, Transform: stripPod},
			&corev1.ConfigMap{}:             ours,
			&corev1.ServiceAccount{}:        ours,
			&appsv1.Deployment{}:            ours,
			&policyv1.PodDisruptionBudget{}: ours,
			&networkingv1.NetworkPolicy{}:   ours,
			&corev1.Secret{}:                secrets,
			&discoveryv1.EndpointSlice{}:    {Transform: stripSlice},
			apiservice.Object():             {Field: fields.OneTermEqualSelector("metadata.name", apiservice.Name), Transform: strip},
			&corev1.Namespace{}:             {Field: fields.OneTermEqualSelector("metadata.name", namespace), Transform: strip},
		},
	}
}

// strip drops what nobody reads and what is often the largest part.
func strip(in any) (any, error) {
	if o, err := meta.Accessor(in); err == nil {
		o.SetManagedFields(nil)
	}
	return in, nil
}

func stripPod(in any) (any, error) {
	if pod, ok := in.(*corev1.Pod); ok {
		pod.Spec = corev1.PodSpec{}
	}
	return strip(in)
}

// stripSecret drops the annotations: kubectl apply leaves the content in one of
// them.
func stripSecret(in any) (any, error) {
	if o, err := meta.Accessor(in); err == nil {
		o.SetAnnotations(nil)
	}
	return strip(in)
}

func stripSlice(in any) (any, error) {
	if slice, ok := in.(*discoveryv1.EndpointSlice); ok {
		for i := range slice.Endpoints {
			e := &slice.Endpoints[i]
			*e = discoveryv1.Endpoint{Addresses: e.Addresses, Conditions: e.Conditions}
		}
	}
	return strip(in)
}
