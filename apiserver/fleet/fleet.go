// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// Options of a Fleet; each is required but for what says otherwise.
type Options struct {
	// Pods reads pods of any namespace.
	Pods corev1client.PodsGetter
	// Namespaces are those whose pods are looked at. Default: all.
	Namespaces []string
	// ClientDir holds FileClientCert, FileClientKey and FileCA. They are read at
	// each handshake.
	ClientDir string
	// Timeout is how long a pod may take to answer, or to go on answering.
	// Default 3 s.
	Timeout time.Duration
	// Youth is how long after it has appeared a pod is waited for that refuses
	// connections. Default 5 s.
	Youth time.Duration
	// Revoked is how long the pods of one of Namespaces may not have been listed for
	// want of rights before there count as none. It must be well below the half minute
	// after which what is known is too old. Default 10 s.
	Revoked time.Duration
	// Port is the control port of every pod. Default
	// dataplanev1alpha1.PortControl.
	Port   int
	Logger logr.Logger
	// GRPC are more options of the connections to pods. Default none.
	GRPC []grpc.DialOption
}

// Fleet is all data-plane pods of the cluster. Any number of goroutines may use
// it.
type Fleet struct {
	options Options
	// informers are one for each of watches, and synced says of each whether it has
	// told of all pods that there were when it began.
	informers []cache.SharedIndexInformer
	synced    []cache.InformerSynced
	looks     looks
	hub       *hub

	mu sync.Mutex
	// The fields below are guarded by mu.
	pods map[types.UID]*Pod
	// changed is closed, and replaced, whenever pods changes.
	changed chan struct{}
	// stopped says that Run has ended.
	stopped bool
	// seen is the resourceVersion up to which each of watches has come; confirmed is
	// when that was all there was.
	seen map[string]uint64
	// refused is since when the pods of a namespace may not be listed.
	refused   map[string]time.Time
	confirmed time.Time
}

// New returns a Fleet that knows no pod before it runs. The error says that it
// was made wrongly.
func New(options Options) (*Fleet, error) {
	if options.Timeout == 0 {
		options.Timeout = 3 * time.Second
	}
	if options.Youth == 0 {
		options.Youth = 5 * time.Second
	}
	if options.Revoked == 0 {
		options.Revoked = 10 * time.Second
	}
	if options.Port == 0 {
		options.Port = dataplanev1alpha1.PortControl
	}
	f := &Fleet{options: options, pods: map[types.UID]*Pod{}, seen: map[string]uint64{}, refused: map[string]time.Time{}, changed: make(chan struct{})}
	f.hub = newHub(options.Timeout)
	f.looks = looks{list: f.view, queues: map[string]*queue{}}
	for _, namespace := range f.watches() {
		if err := f.follow(namespace); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Run keeps up with the pods until ctx ends, and closes what is open then.
func (f *Fleet) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { f.stayFresh(ctx) })
	running.Go(func() { f.hub.tick(ctx) })
	for _, informer := range f.informers {
		running.Go(func() { informer.RunWithContext(ctx) })
	}
	running.Wait()
	f.stop()
	f.hub.wait()
}

func (f *Fleet) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
	for uid, pod := range f.pods {
		pod.close(errStopped)
		delete(f.pods, uid)
	}
}

// Synced reports whether all pods are known that there were when Run began.
func (f *Fleet) Synced() bool {
	return !slices.ContainsFunc(f.synced, func(synced cache.InformerSynced) bool { return !synced() })
}

// Ready returns nil from when Synced does until Run ends, else an error for those
// who ask too soon or too late. Who looks for pods first and asks then, knows
// that those were all.
func (f *Fleet) Ready() error {
	if !f.Synced() {
		return errors.New("the data-plane pods have not been listed yet")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return errStopped
	}
	return nil
}

// again returns the pod that has taken the place of one that was replaced, or nil
// when it is gone.
func (f *Fleet) again(p *Pod) *Pod {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pods[p.target.uid]
}

// Pods returns the pods that have connections and match, in the order of their
// prefixes.
func (f *Fleet) Pods(match func(*Pod) bool) []*Pod {
	f.mu.Lock()
	defer f.mu.Unlock()
	var pods []*Pod
	for _, pod := range f.pods {
		if match(pod) {
			pods = append(pods, pod)
		}
	}
	slices.SortFunc(pods, func(a, b *Pod) int {
		return cmp.Or(cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.target.uid, b.target.uid))
	})
	return pods
}

// Count returns how many pods there are, and of how many there is a stream, which all
// who watch them share.
func (f *Fleet) Count() (pods, streams int) {
	f.mu.Lock()
	pods = len(f.pods)
	f.mu.Unlock()
	return pods, f.hub.streams()
}

func (f *Fleet) set(object any) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	t, asked := targetOf(pod)
	f.mu.Lock()
	defer f.mu.Unlock()
	// Under the same lock, so nobody sees that before what follows.
	f.seeLocked(pod)
	known := f.pods[t.uid]
	if asked && known != nil && known.target == t {
		if restarts := restartsOf(pod); restarts != known.restarts {
			known.restarts = restarts
			f.hub.restarted(known)
		}
		return
	}
	if f.stopped {
		return
	}
	if !asked {
		f.dropLocked(t.uid, errRemoved)
		return
	}
	f.dropLocked(t.uid, errReplaced)
	// Whoever asked the old one finds the new one: both happen under the lock.
	made, err := newPod(t, &f.options)
	if err != nil {
		f.options.Logger.Error(err, "Pod cannot be asked", "namespace", t.namespace, "pod", t.name)
		return
	}
	made.restarts = restartsOf(pod)
	f.pods[t.uid] = made
	f.hub.appear(made)
	f.noteLocked()
	f.options.Logger.V(1).Info("Pod is asked", "pod", made.String(), "proxy", t.proxy)
}

// replace is told of a change. When a pod is deleted and another one takes its
// name before the watch says so, that is a change as well.
func (f *Fleet) replace(old, object any) {
	before, ok := old.(*corev1.Pod)
	after, ok2 := object.(*corev1.Pod)
	if ok && ok2 && before.UID != after.UID {
		f.forget(before)
	}
	f.set(object)
}

func (f *Fleet) forget(object any) {
	if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seeLocked(pod)
	f.dropLocked(pod.UID, errRemoved)
}

func (f *Fleet) dropLocked(uid types.UID, reason error) {
	pod := f.pods[uid]
	if pod == nil {
		return
	}
	delete(f.pods, uid)
	f.hub.leave(pod)
	pod.close(reason)
	f.noteLocked()
	f.options.Logger.V(1).Info("Pod is not asked any more", "pod", pod.String())
}

func (f *Fleet) noteLocked() {
	close(f.changed)
	f.changed = make(chan struct{})
}
