// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/endpoints"
	"github.com/wsproxy/wsproxy/controllers/objects"
	"github.com/wsproxy/wsproxy/controllers/references"
)

// resolve looks up what the spec names. What is missing is recorded and stops
// nothing here.
func (r *Reconciler) resolve(ctx context.Context, w *work) error {
	if ref := w.proxy.Spec.Upstream.ServiceRef; ref != nil {
		found, unresolved, err := r.endpoints(ctx, w.proxy.Namespace, ref.Name, ref.Port)
		if err != nil {
			return err
		}
		w.endpoints = found
		if unresolved != nil {
			w.unresolved = append(w.unresolved, *unresolved)
		}
	}
	return r.resolveSecrets(ctx, w)
}

// endpoints returns the addresses behind a port of a Service, none of a Service
// that is not there: they may belong to somebody else by now.
func (r *Reconciler) endpoints(ctx context.Context, namespace, name string, port int32) ([]*dataplanev1alpha1.Endpoint, *verdict, error) {
	service := &corev1.Service{}
	err := r.get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, service)
	if apierrors.IsNotFound(err) {
		return nil, &verdict{wsproxyv1alpha1.ReasonServiceNotFound, fmt.Sprintf("spec.upstream.serviceRef: Service %q does not exist", name)}, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read Service %s/%s: %w", namespace, name, err)
	}
	var slices discoveryv1.EndpointSliceList
	if err := r.Client.List(ctx, &slices, client.InNamespace(namespace), client.MatchingFields{indexService: name}); err != nil {
		return nil, nil, fmt.Errorf("list EndpointSlices of Service %s/%s: %w", namespace, name, err)
	}
	found, err := endpoints.Resolve(service, port, slices.Items)
	if wrong := (*endpoints.PortError)(nil); errors.As(err, &wrong) {
		return nil, &verdict{wsproxyv1alpha1.ReasonServicePortUnknown, "spec.upstream.serviceRef: " + wrong.Error()}, nil
	}
	return found, nil, err
}

// resolveSecrets copies the certificates that the spec names. One that is
// missing or broken is replaced by the last good one, where there was one.
func (r *Reconciler) resolveSecrets(ctx context.Context, w *work) error {
	w.files = map[string][]byte{}
	wishes := references.Of(&w.proxy.Spec)
	if len(wishes) == 0 {
		return nil
	}
	own, err := r.Secrets.Secret(ctx, w.key, objects.Name(w.proxy.Name))
	if err != nil {
		return err
	}
	for _, wish := range wishes {
		secret, err := r.Secrets.Secret(ctx, w.key, wish.Name)
		if err != nil {
			return err
		}
		problem := wish.Resolve(secret, w.files)
		if problem == nil {
			continue
		}
		w.unresolved = append(w.unresolved, verdict{problem.Reason, problem.Message})
		if own == nil || !wish.Carry(own.Data, w.files) {
			w.unusable = true
		}
	}
	return nil
}

// parseService is the reverse of objects.UpstreamService.
func parseService(value string) (name string, port int32, ok bool) {
	name, number, ok := strings.Cut(value, ":")
	parsed, err := strconv.ParseInt(number, 10, 32)
	return name, int32(parsed), ok && err == nil
}
