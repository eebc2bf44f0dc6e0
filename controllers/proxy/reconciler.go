// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/apply"
	"github.com/wsproxy/wsproxy/controllers/certificates"
	"github.com/wsproxy/wsproxy/controllers/objects"
	"github.com/wsproxy/wsproxy/controllers/push"
	"github.com/wsproxy/wsproxy/controllers/references"
	"github.com/wsproxy/wsproxy/controllers/rollout"
)

const (
	// conflictDelay is the pause before a proxy is looked at again after a write
	// that was based on something old: the cache needs a moment to catch up. It
	// doubles with each further conflict up to conflictMost, for a cache that is cut
	// off. What a cache hears of when it is back, it brings here at once.
	conflictDelay = 20 * time.Millisecond
	conflictMost  = 10 * time.Second
	// foreignDelay is the pause before an object that belongs to somebody else is
	// looked for again: nothing tells the operator when it goes away.
	foreignDelay = 15 * time.Second
	// connectionsInterval is the least time between two changes of
	// status.connections of a proxy.
	connectionsInterval = 30 * time.Second
)

// Reconciler reconciles WebSocketProxies.
type Reconciler struct {
	// Client reads from the cache.
	Client client.Client
	// Live reads from the API server.
	Live      client.Reader
	Applier   *apply.Applier
	Authority *certificates.Authority
	Pusher    *push.Pusher
	Secrets   *references.Reader
	Recorder  events.EventRecorder
	Rollouts  *rollout.Limit
	// Look makes the controller look at a proxy soon.
	Look func(types.NamespacedName)
	// Image of the data plane where the class names none.
	Image string
	// Watched are the namespaces of the proxies; empty: all.
	Watched []string
	// CalledFrom is the namespace of those who may call the pods on the control port,
	// by a NetworkPolicy; empty: there is none.
	CalledFrom string
	// Args are more arguments of every data-plane container.
	Args []string
	// ControlAddress returns where a pod that has an IP is reached, host:port.
	ControlAddress func(*corev1.Pod) string
	Now            func() time.Time

	mu sync.Mutex
	// configs are the ConfigMaps as they were after the last write, because the
	// cache may be behind.
	configs map[types.NamespacedName]*corev1.ConfigMap
	// counted is when status.connections was last refreshed.
	counted map[types.NamespacedName]time.Time
	// weighed is when the deletion cost of each pod was last written.
	weighed map[types.NamespacedName]map[types.UID]time.Time
	// raised are the last raises of the versions of proxies after a restore.
	raised map[types.NamespacedName]raise
	// pauses are the last pauses after conflicts, for proxies whose last look ended
	// with one.
	pauses map[types.NamespacedName]time.Duration
	// heard are the proxies whose pods have all answered or failed to since this
	// operator started.
	heard map[types.NamespacedName]bool
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	proxy := &wsproxyv1alpha1.WebSocketProxy{}
	err := r.Client.Get(ctx, request.NamespacedName, proxy)
	if apierrors.IsNotFound(err) {
		r.forget(request.NamespacedName)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	if !proxy.DeletionTimestamp.IsZero() {
		// Every object has the proxy as its owner: the garbage collector takes
		// them away, and each pod drains in its grace period. Writing now would
		// bring them back.
		return reconcile.Result{}, nil
	}

	w := &work{proxy: proxy, key: request.NamespacedName, now: r.Now()}
	w.failure = r.run(ctx, w)
	switch {
	case apierrors.HasStatusCause(w.failure, corev1.NamespaceTerminatingCause):
		// Nothing can be made here any more, and the proxy is about to go too.
		return reconcile.Result{}, nil
	case apierrors.IsConflict(w.failure):
		// Somebody wrote in between, or the cache is behind. No status is
		// written from what may be old.
		logr.FromContextOrDiscard(ctx).V(1).Info("conflict, looking again", "cause", w.failure.Error())
		return r.again(request.NamespacedName), nil
	case errors.Is(w.failure, certificates.ErrNotLoaded):
		// The operator has just started. The authority enqueues every proxy once
		// it is there; until then only a new spec is told that it was seen.
		if proxy.Status.ObservedGeneration == proxy.Generation {
			return reconcile.Result{RequeueAfter: time.Second}, nil
		}
		w.failure = nil
		w.after(time.Second)
	}
	err = r.report(ctx, w)
	if apierrors.IsConflict(err) {
		return r.again(request.NamespacedName), nil
	}
	r.noConflict(request.NamespacedName)
	if err := errors.Join(w.failure, client.IgnoreNotFound(err)); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: w.requeue}, nil
}

// run goes through the phases until one of them fails.
func (r *Reconciler) run(ctx context.Context, w *work) error {
	for _, phase := range []func(context.Context, *work) error{
		r.accept,      // which class, and is the spec one that it allows
		r.resolve,     // the Service and the Secrets that the spec names
		r.certificate, // the Secret of the pods
		r.configure,   // the ConfigMap of the pods, and with it the version
		r.observe,     // the pods and the Deployment, as they are
		r.push,        // the configuration, to each pod
		r.weigh,       // what it costs to delete each pod
		r.deploy,      // ServiceAccount, NetworkPolicy, PodDisruptionBudget, Service, Deployment
	} {
		if err := phase(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// again asks for another look at a proxy after a conflict.
func (r *Reconciler) again(proxy types.NamespacedName) reconcile.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pauses == nil {
		r.pauses = map[types.NamespacedName]time.Duration{}
	}
	pause := min(max(2*r.pauses[proxy], conflictDelay), conflictMost)
	r.pauses[proxy] = pause
	return reconcile.Result{RequeueAfter: pause}
}

// noConflict makes the next conflict of a proxy the first one.
func (r *Reconciler) noConflict(proxy types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pauses, proxy)
}

// forget drops everything that is remembered of a proxy that is gone. Its pods
// drain by themselves.
func (r *Reconciler) forget(proxy types.NamespacedName) {
	r.Pusher.Forget(proxy)
	r.Secrets.Forget(proxy)
	name := types.NamespacedName{Namespace: proxy.Namespace, Name: objects.Name(proxy.Name)}
	r.Applier.Forget(name)
	for _, next := range r.Rollouts.Forget(proxy) {
		r.Look(next)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.configs, proxy)
	delete(r.counted, proxy)
	delete(r.weighed, proxy)
	delete(r.raised, proxy)
	delete(r.heard, proxy)
	delete(r.pauses, proxy)
}
