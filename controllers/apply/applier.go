// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Configuration is an apply configuration of client-go.
type Configuration interface {
	runtime.ApplyConfiguration
	GetName() *string
	GetNamespace() *string
	GetKind() *string
	GetAPIVersion() *string
}

// Applier applies objects of owners. The zero value is not usable: see New.
type Applier struct {
	client client.Client
	live   client.Reader
	owner  client.FieldOwner

	mu sync.Mutex
	// last is what was applied last, by object: while neither the wish nor the
	// object has changed since then, there is nothing to send.
	last map[key]memory
}

// Result is an object after it was applied.
type Result struct {
	ResourceVersion string
	Generation      int64
}

type key struct {
	kind string
	name types.NamespacedName
}

type memory struct {
	wish            [sha256.Size]byte
	resourceVersion string
}

// New returns an Applier that writes through c as the given field owner. live
// reads from the API server itself, for objects that no cache holds.
func New(c client.Client, live client.Reader, owner string) *Applier {
	return &Applier{client: c, live: live, owner: client.FieldOwner(owner), last: map[key]memory{}}
}

// Apply brings an object of the owner to what the configuration says. current
// is what the cache holds of the object, nil where it holds none; an object that
// exists all the same, because it lacks the labels by which the cache selects, is
// looked for in the API server.
//
// It returns the object as it is afterwards. Errors: *ForeignError where an object
// of that name belongs to somebody else, else those of the API server.
func (a *Applier) Apply(ctx context.Context, owner client.Object, desired Configuration, current client.Object) (Result, error) {
	k := keyOf(desired)
	wish, err := hash(desired)
	if err != nil {
		return Result{}, fmt.Errorf("encode %s %s: %w", k.kind, k.name, err)
	}
	found, err := a.Find(ctx, owner, desired, current)
	if err != nil {
		return Result{}, err
	}
	if found != nil && a.unchanged(k, memory{wish, found.GetResourceVersion()}) {
		return Result{found.GetResourceVersion(), found.GetGeneration()}, nil
	}
	result, err := a.Write(ctx, desired)
	if err != nil {
		return Result{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last[k] = memory{wish, result.ResourceVersion}
	return result, nil
}

// Find returns the object that a configuration speaks of, with at least its
// metadata, or nil where there is none. current is what a cache holds of it.
//
// Errors: *ForeignError, and those of the API server.
func (a *Applier) Find(ctx context.Context, owner client.Object, desired Configuration, current client.Object) (client.Object, error) {
	k := keyOf(desired)
	found := current
	if found == nil {
		metadata := &metav1.PartialObjectMetadata{}
		metadata.SetGroupVersionKind(gvkOf(desired))
		err := a.live.Get(ctx, k.name, metadata)
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("look for %s %s: %w", k.kind, k.name, err)
		}
		found = metadata
	}
	if !belongs(found, owner, desired) {
		return nil, &ForeignError{Kind: k.kind, Name: k.name}
	}
	return found, nil
}

// Write sends a configuration and returns the object as it is afterwards.
// Errors: those of the API server, Conflict among them where the configuration
// carries a resourceVersion that is no longer the object's.
func (a *Applier) Write(ctx context.Context, desired Configuration) (Result, error) {
	k := keyOf(desired)
	if err := a.client.Apply(ctx, desired, a.owner, client.ForceOwnership); err != nil {
		return Result{}, fmt.Errorf("apply %s %s: %w", k.kind, k.name, err)
	}
	// Apply leaves the answer of the API server in the configuration.
	metadata, err := metadataOf(desired)
	if err != nil {
		return Result{}, fmt.Errorf("read answer of apply %s %s: %w", k.kind, k.name, err)
	}
	return Result{metadata.ResourceVersion, metadata.Generation}, nil
}

// Forget drops what is remembered of objects of that name.
func (a *Applier) Forget(name types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for k := range a.last {
		if k.name == name {
			delete(a.last, k)
		}
	}
}

func (a *Applier) unchanged(k key, m memory) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last[k] == m
}

func keyOf(c Configuration) key {
	return key{kind: *c.GetKind(), name: types.NamespacedName{Namespace: *c.GetNamespace(), Name: *c.GetName()}}
}

func gvkOf(c Configuration) schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(*c.GetAPIVersion(), *c.GetKind())
}

// metadataOf returns the metadata of a configuration: the generated types have no
// getters for most of it.
func metadataOf(c Configuration) (metav1.ObjectMeta, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return metav1.ObjectMeta{}, err
	}
	object := metav1.PartialObjectMetadata{}
	err = json.Unmarshal(raw, &object)
	return object.ObjectMeta, err
}

func hash(c Configuration) ([sha256.Size]byte, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(raw), nil
}
