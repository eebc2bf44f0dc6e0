// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservice

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/wsproxy/wsproxy/controllers/certificates"
)

// Bundle keeps the caBundle of the APIService, so that kube-apiserver verifies the
// aggregated API server. Everything else of the APIService, and whether there is
// one, is the installation's to say.
type Bundle struct {
	// Client writes.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Authority whose certificates are to be trusted.
	Authority *certificates.Authority
	// Namespace of the aggregated API server.
	Namespace string
}

// Reconcile writes the caBundle where the APIService is ours and has another.
func (b *Bundle) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	state, err := b.Authority.State()
	if errors.Is(err, certificates.ErrNotLoaded) {
		// Loading it brings this controller here again.
		return reconcile.Result{}, nil
	}
	service, err := read(ctx, b.Live, b.Namespace)
	if err != nil || service == nil {
		return reconcile.Result{}, err
	}
	bundle := state.Bundle()
	if bytes.Equal(bundleOf(service), bundle) {
		return reconcile.Result{}, nil
	}
	err = b.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(desired(service, bundle)),
		client.FieldOwner(FieldOwner), client.ForceOwnership)
	if apierrors.IsConflict(err) {
		// It was changed since it was read, and may be somebody else's now.
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("apply caBundle of APIService %s: %w", Name, err)
	}
	logr.FromContextOrDiscard(ctx).Info("caBundle of the APIService written")
	return reconcile.Result{}, nil
}

// Trusts says whether kube-apiserver is given exactly these authorities to trust,
// as far as it is to call us at all.
func (b *Bundle) Trusts(ctx context.Context, bundle []byte) error {
	service, err := read(ctx, b.Live, b.Namespace)
	if err != nil {
		return err
	}
	if service != nil && !bytes.Equal(bundleOf(service), bundle) {
		return fmt.Errorf("the APIService %s has another caBundle", Name)
	}
	return nil
}

// read returns the APIService, nil where there is none that leads to our Service in
// that namespace.
func read(ctx context.Context, live client.Reader, namespace string) (*unstructured.Unstructured, error) {
	service := Object()
	if err := live.Get(ctx, types.NamespacedName{Name: Name}, service); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read APIService %s: %w", Name, err)
	}
	if !leadsTo(service, namespace) {
		return nil, nil
	}
	return service, nil
}

// leadsTo says whether an APIService is served by our Service in that namespace.
func leadsTo(service *unstructured.Unstructured, namespace string) bool {
	// What is missing or of another type is not ours.
	ns, _, _ := unstructured.NestedString(service.Object, "spec", "service", "namespace")
	name, _, _ := unstructured.NestedString(service.Object, "spec", "service", "name")
	return ns == namespace && name == Service
}

// bundleOf returns the caBundle, nil where there is none.
func bundleOf(service *unstructured.Unstructured) []byte {
	text, _, _ := unstructured.NestedString(service.Object, "spec", "caBundle")
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return raw
}

// desired says of an APIService, as it was read, what its caBundle is to be. With
// its uid it is never made anew, with its resourceVersion never written after it
// was changed to lead elsewhere.
func desired(service *unstructured.Unstructured, bundle []byte) *unstructured.Unstructured {
	d := Object()
	d.SetUID(service.GetUID())
	d.SetResourceVersion(service.GetResourceVersion())
	d.Object["spec"] = map[string]any{"caBundle": base64.StdEncoding.EncodeToString(bundle)}
	return d
}

// SetupWithManager registers the controller with the APIService and the authority.
func (b *Bundle) SetupWithManager(m manager.Manager) error {
	t := &trigger{object: types.NamespacedName{Name: Name}}
	b.Authority.OnChange(t.fire)
	b.Authority.Await(b.Trusts)
	return builder.ControllerManagedBy(m).
		Named("apiservice-ca").
		// The cache holds this one only, by the name.
		WatchesMetadata(Object(), &handler.EnqueueRequestForObject{}).
		WatchesRawSource(source.Func(t.start)).
		Complete(b)
}
