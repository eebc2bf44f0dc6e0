// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// watches are the namespaces of which each has a watch of its own: those that the
// server is restricted to, or only the one that stands for all.
func (f *Fleet) watches() []string {
	if f.restricted() {
		return f.options.Namespaces
	}
	return []string{metav1.NamespaceAll}
}

// watchOf is the watch that tells of the pods of a namespace.
func (f *Fleet) watchOf(namespace string) string {
	if f.restricted() {
		return namespace
	}
	return metav1.NamespaceAll
}

func (f *Fleet) restricted() bool { return len(f.options.Namespaces) > 0 }

// Covers says whether the pods of a namespace are known here at all. An empty one stands
// for all that are.
func (f *Fleet) Covers(namespace string) bool {
	return namespace == "" || !f.restricted() || slices.Contains(f.options.Namespaces, namespace)
}

// listPods lists the data-plane pods of a namespace.
//
// Who is restricted to namespaces has rights in each of them, and loses them with the
// first of what is deleted there when the namespace is. To have no pods there is the
// better answer then: a server that were not ready because of it would keep that
// namespace, and every other one, from being deleted, because Kubernetes asks every API
// first for what is left. It is the answer only after a while, because a kube-apiserver
// that has just started may know of no rights yet. allowed is false in that case.
func (f *Fleet) listPods(ctx context.Context, namespace string, o metav1.ListOptions) (list *corev1.PodList, allowed bool, err error) {
	o.LabelSelector = Selector
	list, err = f.options.Pods.Pods(namespace).List(ctx, o)
	if f.restricted() && f.revoked(namespace, apierrors.IsForbidden(err), err == nil) {
		return &corev1.PodList{}, false, nil
	}
	return list, err == nil, err
}

// revoked notes whether the pods of a namespace were refused or listed, and says whether
// they have been refused for so long that the server can have no rights there.
func (f *Fleet) revoked(namespace string, refused, listed bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	since, before := f.refused[namespace]
	switch {
	case listed:
		delete(f.refused, namespace)
	case refused && !before:
		f.refused[namespace] = time.Now()
		f.options.Logger.Info("Pods of a namespace may not be listed", "namespace", namespace)
	case refused:
		return time.Since(since) >= f.options.Revoked
	}
	return false
}

// Refused returns the namespaces whose pods are taken for none because they may not be
// listed: the one that is asked for, or, where that is empty, any.
func (f *Fleet) Refused(namespace string) (refused []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, of := range f.options.Namespaces {
		since, is := f.refused[of]
		if is && time.Since(since) >= f.options.Revoked && (namespace == "" || namespace == of) {
			refused = append(refused, of)
		}
	}
	return refused
}

// listWatch reads the pods of a namespace. The hub is told whenever all of them were
// listed: what came and went before is not known then.
func (f *Fleet) listWatch(namespace string) cache.ListerWatcher {
	pods := f.options.Pods.Pods(namespace)
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, allowed, err := f.listPods(ctx, namespace, o)
			if allowed {
				f.hub.relisted()
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = Selector
			events, err := pods.Watch(ctx, o)
			if err != nil || o.SendInitialEvents == nil || !*o.SendInitialEvents {
				return events, err
			}
			return watch.Filter(events, func(e watch.Event) (watch.Event, bool) {
				if pod, ok := e.Object.(*corev1.Pod); ok && pod.Annotations[metav1.InitialEventsAnnotationKey] == "true" {
					f.hub.relisted()
				}
				return e, true
			}), nil
		},
	}, f.options.Pods)
}

// follow makes the watch of a namespace.
func (f *Fleet) follow(namespace string) error {
	informer := cache.NewSharedIndexInformerWithOptions(f.listWatch(namespace), &corev1.Pod{}, cache.SharedIndexInformerOptions{})
	if err := informer.SetTransform(strip); err != nil {
		return err
	}
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { f.set(object) },
		UpdateFunc: func(old, object any) { f.replace(old, object) },
		DeleteFunc: func(object any) { f.forget(object) },
	})
	if err != nil {
		return err
	}
	f.informers, f.synced = append(f.informers, informer), append(f.synced, registration.HasSynced)
	return nil
}
