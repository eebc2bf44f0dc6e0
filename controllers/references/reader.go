// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package references

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Reader reads Secrets: the metadata from a cache, and the content from the API
// server only when the metadata say that it has changed.
type Reader struct {
	metadata client.Reader
	live     client.Reader

	mu sync.Mutex
	// held are the Secrets that were read, by who read them, so that they can be
	// forgotten with him.
	held map[types.NamespacedName]map[string]*corev1.Secret
}

// NewReader returns a Reader with a cache of metadata and the API server itself.
func NewReader(metadata, live client.Reader) *Reader {
	return &Reader{metadata: metadata, live: live, held: map[types.NamespacedName]map[string]*corev1.Secret{}}
}

// Secret returns a Secret in the namespace of who asks, nil where there is none.
// It must not be changed. Errors: those of the API server.
func (r *Reader) Secret(ctx context.Context, asks types.NamespacedName, name string) (*corev1.Secret, error) {
	key := types.NamespacedName{Namespace: asks.Namespace, Name: name}
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := r.metadata.Get(ctx, key, metadata)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read Secret %s: %w", key, err)
	}
	if held := r.get(asks, name); err == nil && held != nil && held.ResourceVersion == metadata.ResourceVersion {
		return held, nil
	}
	// The cache may be behind, also with a Secret that it does not show yet.
	secret := &corev1.Secret{}
	err = r.live.Get(ctx, key, secret)
	if apierrors.IsNotFound(err) {
		r.put(asks, name, nil)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", key, err)
	}
	r.put(asks, name, secret)
	return secret, nil
}

// Forget drops what was read for somebody.
func (r *Reader) Forget(asks types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.held, asks)
}

func (r *Reader) get(asks types.NamespacedName, name string) *corev1.Secret {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held[asks][name]
}

func (r *Reader) put(asks types.NamespacedName, name string, secret *corev1.Secret) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if secret == nil {
		delete(r.held[asks], name)
		return
	}
	if r.held[asks] == nil {
		r.held[asks] = map[string]*corev1.Secret{}
	}
	r.held[asks][name] = secret
}
