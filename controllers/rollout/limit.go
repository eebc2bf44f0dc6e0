// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// proxyKind is the kind of the owners of the Deployments that count.
const proxyKind = "WebSocketProxy"

// Limit counts the proxies that replace their pods. Any number of goroutines may
// use it. The zero value is not usable: see New.
type Limit struct {
	most int

	mu sync.Mutex
	// started are the proxies that were let through, with the generation that
	// their Deployment was given, 0 while it is being written. The cache shows that
	// they replace their pods only when it has that generation.
	started map[types.NamespacedName]int64
	// seen are the proxies whose Deployment replaced its pods when it was last
	// looked at.
	seen map[types.NamespacedName]bool
	// waiting are those that were not let through, in the order in which they came.
	waiting []types.NamespacedName
}

// New returns a Limit that lets so many proxies replace their pods at a time.
func New(most int) *Limit {
	return &Limit{most: most, started: map[types.NamespacedName]int64{}, seen: map[types.NamespacedName]bool{}}
}

// Most is how many proxies may replace their pods at a time.
func (l *Limit) Most() int { return l.most }

// Take says whether a proxy may replace its pods now. Where it may, Written must
// follow; where not, Observe or Forget will name it when there is room. all are the
// Deployments of every proxy, as the cache has them. Who must not wait is let
// through and counted.
func (l *Limit) Take(proxy types.NamespacedName, all []appsv1.Deployment, must bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	busy := l.busyLocked(all)
	// Who replaces its pods already may change its mind. A Deployment that was only
	// scaled, a moment ago, does not replace any.
	_, already := l.started[proxy]
	for i := range all {
		already = already || proxyOf(&all[i]) == proxy && mixed(&all[i])
	}
	if !must && !already && len(busy) >= l.most {
		if !slices.Contains(l.waiting, proxy) {
			l.waiting = append(l.waiting, proxy)
		}
		return false
	}
	l.started[proxy] = 0
	return true
}

// busyLocked returns the proxies that replace their pods, also those of which the
// cache does not know yet.
func (l *Limit) busyLocked(all []appsv1.Deployment) map[types.NamespacedName]bool {
	busy, generations := map[types.NamespacedName]bool{}, map[types.NamespacedName]int64{}
	for i := range all {
		d := &all[i]
		proxy := proxyOf(d)
		if proxy.Name == "" {
			continue
		}
		generations[proxy] = d.Generation
		if replacing(d) {
			busy[proxy] = true
		}
	}
	for proxy, written := range l.started {
		if known := generations[proxy]; written == 0 || known != 0 && known < written {
			busy[proxy] = true
		} else {
			delete(l.started, proxy)
		}
	}
	return busy
}

// Written says which generation the Deployment of a proxy has after the write that
// Take let through; 0 where the write failed.
func (l *Limit) Written(proxy types.NamespacedName, generation int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if generation == 0 {
		delete(l.started, proxy)
		return
	}
	l.started[proxy] = generation
	l.seen[proxy] = true
}

// Observe looks at the Deployment of a proxy as the cache has it, nil where there
// is none, and returns the proxies that should try again, because this one no
// longer replaces its pods.
func (l *Limit) Observe(proxy types.NamespacedName, d *appsv1.Deployment) []types.NamespacedName {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d != nil {
		written, started := l.started[proxy]
		if replacing(d) || started && d.Generation < written {
			l.seen[proxy] = true
			return nil
		}
	}
	if !l.seen[proxy] {
		return nil
	}
	return l.nextLocked(proxy)
}

// Forget drops a proxy that is gone, and returns those that should try again. Its
// Deployment may still be there, so it is to be called again when that is gone.
func (l *Limit) Forget(proxy types.NamespacedName) []types.NamespacedName {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = slices.DeleteFunc(l.waiting, func(w types.NamespacedName) bool { return w == proxy })
	return l.nextLocked(proxy)
}

// nextLocked takes a proxy out, and those that should try in its place. Whoever of
// these does not get the room that there is asks to be told again.
func (l *Limit) nextLocked(proxy types.NamespacedName) []types.NamespacedName {
	delete(l.started, proxy)
	delete(l.seen, proxy)
	next := l.waiting[:min(l.most, len(l.waiting))]
	l.waiting = slices.Clone(l.waiting[len(next):])
	return next
}

// replacing says whether a Deployment has pods of an older template, or may come to
// have them because nobody has looked at its newest one.
func replacing(d *appsv1.Deployment) bool {
	return d.Status.ObservedGeneration < d.Generation || mixed(d)
}

// mixed says whether a Deployment has pods of an older template. One that somebody
// has paused does not count, nor one that Kubernetes has given up on (after its
// progress deadline, ten minutes): it would hold up everybody.
func mixed(d *appsv1.Deployment) bool {
	_, up := GivenUp(d)
	return !up && !d.Spec.Paused && d.Status.UpdatedReplicas < d.Status.Replicas
}

// proxyOf is the proxy whose Deployment it is, none where it is a stranger's. Labels
// anybody may give to a Deployment; one with a false owner is soon collected.
func proxyOf(d *appsv1.Deployment) types.NamespacedName {
	owner := metav1.GetControllerOf(d)
	if owner == nil || owner.Kind != proxyKind {
		return types.NamespacedName{}
	}
	return types.NamespacedName{Namespace: d.Namespace, Name: owner.Name}
}
