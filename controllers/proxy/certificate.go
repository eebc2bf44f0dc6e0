// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/certificates"
	"github.com/wsproxy/wsproxy/controllers/objects"
)

// certificate writes the Secret of the pods: their own certificate, those whom
// they trust, and the copies of the user's certificates. It also renews them
// while the spec is not accepted, with the copies as they were.
func (r *Reconciler) certificate(ctx context.Context, w *work) error {
	own, err := r.Secrets.Secret(ctx, w.key, objects.Name(w.proxy.Name))
	if err != nil {
		return err
	}
	if w.held() {
		if own == nil {
			return nil
		}
		w.files = own.Data
	}
	data, pair, err := r.controlFiles(w, own)
	if err != nil {
		return err
	}
	for file, content := range w.files {
		if _, ours := data[file]; !ours {
			data[file] = content
		}
	}
	w.after(max(r.Authority.Renewal(pair).Sub(w.now), 0) + 1)

	var current client.Object
	if own != nil {
		current = own
	}
	_, err = r.Applier.Apply(ctx, w.proxy, objects.Secret(w.proxy, data), current)
	return w.settle(err)
}

// Trusts says whether the pods of every proxy are given exactly these authorities
// to trust. A proxy that never had a Secret of its own has no pods; when it gets
// one, the Secret has the authorities of that time.
func (r *Reconciler) Trusts(ctx context.Context, bundle []byte) error {
	var proxies wsproxyv1alpha1.WebSocketProxyList
	if err := r.Client.List(ctx, &proxies); err != nil {
		return fmt.Errorf("list proxies: %w", err)
	}
	for i := range proxies.Items {
		p := &proxies.Items[i]
		own, err := r.Secrets.Secret(ctx, client.ObjectKeyFromObject(p), objects.Name(p.Name))
		if err != nil {
			return err
		}
		switch {
		case !p.DeletionTimestamp.IsZero(), own != nil && !metav1.IsControlledBy(own, p):
			continue
		case own == nil:
			if err := r.hasNoPods(ctx, p); err != nil {
				return err
			}
			continue
		}
		if !bytes.Equal(own.Data[dataplanev1alpha1.FileControlCA], bundle) {
			return fmt.Errorf("the Secret %s of a proxy has other authorities", client.ObjectKeyFromObject(own))
		}
	}
	return nil
}

// hasNoPods complains of the pods of a proxy whose Secret is gone: they have what
// was in it.
func (r *Reconciler) hasNoPods(ctx context.Context, p *wsproxyv1alpha1.WebSocketProxy) error {
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(p.Namespace), client.MatchingFields{indexProxy: p.Name}); err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	if len(pods.Items) > 0 {
		return fmt.Errorf("%d pods of the proxy %s have no Secret", len(pods.Items), client.ObjectKeyFromObject(p))
	}
	return nil
}

// controlFiles returns the certificate by which the operator knows the pods, and
// keeps the one that they have while it is good.
func (r *Reconciler) controlFiles(w *work, own *corev1.Secret) (map[string][]byte, *certificates.Pair, error) {
	var have *certificates.Pair
	if own != nil {
		// One that cannot be read is as good as none.
		have, _ = certificates.ParsePair(own.Data[dataplanev1alpha1.FileControlCert], own.Data[dataplanev1alpha1.FileControlKey])
	}
	pair, err := r.Authority.Keep(have, certificates.Request{
		DNSNames: []string{dataplanev1alpha1.ServerName(w.proxy.Namespace, w.proxy.Name)},
		Usage:    x509.ExtKeyUsageServerAuth,
	})
	if err != nil {
		return nil, nil, err
	}
	state, err := r.Authority.State()
	if err != nil {
		return nil, nil, err
	}
	data := map[string][]byte{dataplanev1alpha1.FileControlCA: state.Bundle()}
	if pair == have {
		maps.Copy(data, map[string][]byte{
			dataplanev1alpha1.FileControlCert: own.Data[dataplanev1alpha1.FileControlCert],
			dataplanev1alpha1.FileControlKey:  own.Data[dataplanev1alpha1.FileControlKey],
		})
		return data, pair, nil
	}
	key, err := pair.KeyPEM()
	if err != nil {
		return nil, nil, err
	}
	data[dataplanev1alpha1.FileControlCert], data[dataplanev1alpha1.FileControlKey] = pair.CertPEM(), key
	return data, pair, nil
}
