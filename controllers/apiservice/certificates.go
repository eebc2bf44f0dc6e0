// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservice

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/certificates"
)

// conflictDelay is the pause before another look after somebody wrote in between.
const conflictDelay = 100 * time.Millisecond

// Certificates keeps the Secret of the aggregated API server: what it is known by
// to kube-apiserver, what it is known by to data-plane pods, and whom it trusts.
type Certificates struct {
	// Client writes.
	Client client.Client
	// Live reads from the API server: a cache would hold the keys.
	Live client.Reader
	// Authority issues.
	Authority *certificates.Authority
	// Namespace of the operator and the aggregated API server.
	Namespace string
	// Labels of the Secret.
	Labels map[string]string
	// FieldOwner of what is written.
	FieldOwner string
	// Now is the clock.
	Now func() time.Time
	// Expiries are told of the certificates. It may be nil.
	Expiries *certificates.Expiries
}

// Reconcile writes the Secret, with the certificates that it has while they are
// good, and looks again when one of them is due for renewal.
func (c *Certificates) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	state, err := c.Authority.State()
	if errors.Is(err, certificates.ErrNotLoaded) {
		// Loading it brings this controller here again.
		return reconcile.Result{}, nil
	}
	have, err := c.read(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	now := c.Now()
	data := map[string][]byte{FileCA: state.Bundle()}
	var wait time.Duration
	for _, w := range wanted(c.Namespace) {
		// One that cannot be read is as good as none.
		old, _ := certificates.ParsePair(have.Data[w.cert], have.Data[w.key])
		pair, err := c.Authority.Keep(old, w.request)
		if err != nil {
			return reconcile.Result{}, err
		}
		if data[w.key], err = pair.KeyPEM(); err != nil {
			return reconcile.Result{}, err
		}
		data[w.cert] = pair.CertPEM()
		c.Expiries.Note(w.of, pair.Certificate.NotAfter)
		if until := max(c.Authority.Renewal(pair).Sub(now), 0) + 1; wait == 0 || until < wait {
			wait = until
		}
	}
	err = c.write(ctx, data, have.ResourceVersion)
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: wait}, nil
}

// Trusts says whether the API server is given exactly these authorities to trust.
func (c *Certificates) Trusts(ctx context.Context, bundle []byte) error {
	have, err := c.read(ctx)
	if err != nil {
		return err
	}
	if !bytes.Equal(have.Data[FileCA], bundle) {
		return fmt.Errorf("the Secret %s has other authorities", c.key())
	}
	return nil
}

// read returns the Secret, an empty one where there is none.
func (c *Certificates) read(ctx context.Context) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	if err := c.Live.Get(ctx, c.key(), secret); apierrors.IsNotFound(err) {
		return &corev1.Secret{}, nil
	} else if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", c.key(), err)
	}
	return secret, nil
}

// write applies the Secret. Where it already is as it should be, the API server
// writes nothing, and no event comes of it.
func (c *Certificates) write(ctx context.Context, data map[string][]byte, resourceVersion string) error {
	secret := corev1ac.Secret(SecretName, c.Namespace).
		WithLabels(c.Labels).
		WithType(corev1.SecretTypeOpaque).
		WithData(data)
	if resourceVersion != "" {
		// An operator that is behind must not bring back what was replaced.
		secret.WithResourceVersion(resourceVersion)
	}
	if err := c.Client.Apply(ctx, secret, client.FieldOwner(c.FieldOwner), client.ForceOwnership); err != nil {
		return fmt.Errorf("apply Secret %s: %w", c.key(), err)
	}
	if written := *secret.ResourceVersion; written != resourceVersion {
		logr.FromContextOrDiscard(ctx).Info("certificates of the aggregated API server written", "resourceVersion", written)
	}
	return nil
}

func (c *Certificates) key() types.NamespacedName {
	return types.NamespacedName{Namespace: c.Namespace, Name: SecretName}
}

// certificate is one of the Secret's.
type certificate struct {
	of        certificates.Of
	cert, key string
	request   certificates.Request
}

// wanted returns what belongs into the Secret. kube-apiserver calls the Service by
// the first of the names; the others are for callers inside the cluster.
func wanted(namespace string) []certificate {
	host := Service + "." + namespace
	return []certificate{
		{certificates.OfAPIServer, FileServingCert, FileServingKey, certificates.Request{
			DNSNames: []string{host + ".svc", host, host + ".svc.cluster.local"},
			Usage:    x509.ExtKeyUsageServerAuth,
		}},
		{certificates.OfAPIServerClient, FileClientCert, FileClientKey, certificates.Request{
			DNSNames: []string{dataplanev1alpha1.ClientAPIServer},
			Usage:    x509.ExtKeyUsageClientAuth,
		}},
	}
}

// SetupWithManager registers the controller with the Secret and the authority.
func (c *Certificates) SetupWithManager(m manager.Manager) error {
	key := c.key()
	ours := predicate.NewPredicateFuncs(func(o client.Object) bool {
		return client.ObjectKeyFromObject(o) == key
	})
	t := &trigger{object: key}
	c.Authority.OnChange(t.fire)
	c.Authority.Await(c.Trusts)
	return builder.ControllerManagedBy(m).
		Named("apiserver-certificates").
		WatchesMetadata(&corev1.Secret{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(ours)).
		WatchesRawSource(source.Func(t.start)).
		Complete(c)
}
