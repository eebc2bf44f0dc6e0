// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/certificates"
)

const (
	// trustAgain is how often all ConfigMaps are looked at, because nothing tells when
	// somebody changes one.
	trustAgain = 10 * time.Minute
	// maxOwners of a ConfigMap are written down, so that neither its size nor how often it
	// is written grows with the proxies. They are replaced as they go.
	maxOwners = 10
)

// Trust keeps, in each namespace that has a proxy, a ConfigMap with the authorities
// of the API server's certificate, for backends that call it directly: a pod can mount
// what is in its own namespace only. It goes with the last of the proxies there, also
// while no operator runs. Where somebody has made it immutable, it stays as it is: a
// pod would not be shown a new one, and a rotation does not wait for it.
type Trust struct {
	// Client reads proxies from the cache, and writes.
	Client client.Client
	// Live reads from the API server: the cache has the ConfigMaps of pods only.
	Live client.Reader
	// Authority whose certificates are to be trusted.
	Authority *certificates.Authority
	// Namespaces are those that may be read; empty: all.
	Namespaces []string
	// Labels of the ConfigMaps, by which they are told from those of others.
	Labels map[string]string
	// FieldOwner of what is written.
	FieldOwner string

	all trigger // It brings a request without a namespace.
}

// Reconcile writes the ConfigMap of a namespace. A request that names none is for all: it
// becomes one for each, so that whoever cannot be given theirs is tried again alone.
func (t *Trust) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	state, err := t.Authority.State()
	if errors.Is(err, certificates.ErrNotLoaded) {
		// Loading it brings this controller here again.
		return reconcile.Result{}, nil
	}
	owners, err := t.owners(ctx, request.Namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	if request.Namespace == "" {
		for namespace := range owners {
			t.all.add(types.NamespacedName{Namespace: namespace})
		}
		return reconcile.Result{RequeueAfter: trustAgain}, nil
	}
	if len(owners) == 0 {
		return reconcile.Result{}, nil
	}
	err = t.write(ctx, request.Namespace, owners[request.Namespace], state.Bundle())
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	}
	return reconcile.Result{}, err
}

type ownerReference = metav1ac.OwnerReferenceApplyConfiguration

// owners returns the oldest proxies of each namespace that has any, or of one namespace.
func (t *Trust) owners(ctx context.Context, namespace string) (map[string][]*ownerReference, error) {
	var proxies wsproxyv1alpha1.WebSocketProxyList
	if err := t.Client.List(ctx, &proxies, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list proxies: %w", err)
	}
	slices.SortFunc(proxies.Items, func(a, b wsproxyv1alpha1.WebSocketProxy) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	owners := map[string][]*ownerReference{}
	for i := range proxies.Items {
		if p := &proxies.Items[i]; p.DeletionTimestamp.IsZero() && len(owners[p.Namespace]) < maxOwners {
			owners[p.Namespace] = append(owners[p.Namespace], metav1ac.OwnerReference().
				WithAPIVersion(wsproxyv1alpha1.GroupVersion.String()).
				WithKind("WebSocketProxy").
				WithName(p.Name).
				WithUID(p.UID))
		}
	}
	return owners, nil
}

// write applies the ConfigMap of a namespace.
func (t *Trust) write(ctx context.Context, namespace string, owners []*ownerReference, bundle []byte) error {
	key := types.NamespacedName{Namespace: namespace, Name: TrustName}
	desired := corev1ac.ConfigMap(key.Name, key.Namespace).
		WithLabels(t.Labels).
		WithOwnerReferences(owners...).
		WithData(map[string]string{FileCA: string(bundle)})
	have := &corev1.ConfigMap{}
	switch err := t.Live.Get(ctx, key, have); {
	case apierrors.IsNotFound(err):
	case err != nil:
		return fmt.Errorf("read ConfigMap %s: %w", key, err)
	case !t.ours(have):
		logr.FromContextOrDiscard(ctx).Info("ConfigMap left alone, because it is somebody else's", "configMap", key)
		return nil
	case isStale(have, bundle):
		logr.FromContextOrDiscard(ctx).Info("ConfigMap cannot be brought up to date, because it is immutable: delete it, and it is made anew", "configMap", key)
		return nil
	default:
		// An operator that is behind must not bring back what was replaced.
		desired.WithResourceVersion(have.ResourceVersion)
	}
	err := t.Client.Apply(ctx, desired, client.FieldOwner(t.FieldOwner), client.ForceOwnership)
	if err != nil && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return fmt.Errorf("apply ConfigMap %s: %w", key, err)
	}
	return nil
}

func (t *Trust) ours(c *corev1.ConfigMap) bool {
	for k, v := range t.Labels {
		if c.Labels[k] != v {
			return false
		}
	}
	return true
}

// isStale reports whether a ConfigMap has other authorities and cannot be given these.
func isStale(c *corev1.ConfigMap, bundle []byte) bool {
	return c.Immutable != nil && *c.Immutable && c.Data[FileCA] != string(bundle)
}

// Trusts says whether these ConfigMaps, as far as they have an owner and can be changed,
// have exactly these authorities.
func (t *Trust) Trusts(ctx context.Context, bundle []byte) error {
	owners, err := t.owners(ctx, "")
	if err != nil {
		return err
	}
	namespaces := t.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{corev1.NamespaceAll}
	}
	for _, namespace := range namespaces {
		if namespace != corev1.NamespaceAll && len(owners[namespace]) == 0 {
			continue // It may have been deleted, and the rights in it as well.
		}
		var all corev1.ConfigMapList
		if err := t.Live.List(ctx, &all, client.InNamespace(namespace), client.MatchingLabels(t.Labels), client.MatchingFields{"metadata.name": TrustName}); err != nil {
			return fmt.Errorf("list ConfigMaps: %w", err)
		}
		for i := range all.Items {
			if c := &all.Items[i]; len(owners[c.Namespace]) > 0 && c.Data[FileCA] != string(bundle) && !isStale(c, bundle) {
				return fmt.Errorf("the ConfigMap %s has other authorities", client.ObjectKeyFromObject(c))
			}
		}
	}
	return nil
}

// SetupWithManager registers the controller with the proxies, as they come and go, and
// with the authority.
func (t *Trust) SetupWithManager(m manager.Manager) error {
	t.Authority.OnChange(t.all.fire)
	t.Authority.Await(t.Trusts)
	byNamespace := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace()}}}
	})
	comesOrGoes := predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
		},
	}
	return builder.ControllerManagedBy(m).
		Named("apiserver-trust").
		Watches(&wsproxyv1alpha1.WebSocketProxy{}, byNamespace, builder.WithPredicates(comesOrGoes)).
		WatchesRawSource(source.Func(t.all.start)).
		Complete(t)
}
