// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

const (
	// The pause after each look is pauseFactor times as long as it took, so that
	// looks, however many are wanted, keep the kube-apiserver busy for a fifth of
	// the time at most. It is between minPause and maxPause.
	pauseFactor = 4
	minPause    = 100 * time.Millisecond
	maxPause    = time.Second
	// lookTimeout bounds one look.
	lookTimeout = 5 * time.Second
)

// looks are lists of the pods of a namespace as they are now. Whoever wants one
// shares the next that begins: one that began before may miss what its caller
// knows.
type looks struct {
	list func(ctx context.Context, namespace string) (view, error)

	mu sync.Mutex
	// The fields below are guarded by mu. A namespace has a queue while a
	// goroutine serves it.
	queues map[string]*queue
}

type queue struct{ next *look }

// look is one list; the other fields may be read when done is closed.
type look struct {
	done chan struct{}
	view view
	err  error
}

// view is what a look finds.
type view struct {
	// prefixes are those of the pods that have connections.
	prefixes map[string]bool
	// version is the highest resourceVersion of a pod.
	version uint64
}

func (l *looks) look(ctx context.Context, namespace string) (view, error) {
	l.mu.Lock()
	q := l.queues[namespace]
	begin := q == nil
	if begin {
		q = &queue{}
		l.queues[namespace] = q
	}
	if q.next == nil {
		q.next = &look{done: make(chan struct{})}
	}
	mine := q.next
	l.mu.Unlock()
	if begin {
		// It serves others too, so it does not end with this caller.
		go l.serve(context.WithoutCancel(ctx), namespace, q)
	}
	select {
	case <-mine.done:
		return mine.view, mine.err
	case <-ctx.Done():
		return view{}, ctx.Err()
	}
}

// serve looks until nobody waits any more.
func (l *looks) serve(ctx context.Context, namespace string, q *queue) {
	for {
		l.mu.Lock()
		current := q.next
		q.next = nil
		if current == nil {
			delete(l.queues, namespace)
		}
		l.mu.Unlock()
		if current == nil {
			return
		}
		limited, cancel := context.WithTimeout(ctx, lookTimeout)
		began := time.Now()
		current.view, current.err = l.list(limited, namespace)
		cancel()
		close(current.done)
		time.Sleep(min(max(pauseFactor*time.Since(began), minPause), maxPause))
	}
}

// view asks the kube-apiserver for the pods of a namespace as they are now; where it is
// empty, for those of all that are watched.
func (f *Fleet) view(ctx context.Context, namespace string) (view, error) {
	now := view{prefixes: map[string]bool{}}
	namespaces := []string{namespace}
	if namespace == metav1.NamespaceAll {
		namespaces = f.watches()
	}
	for _, each := range namespaces {
		pods, _, err := f.listPods(ctx, each, metav1.ListOptions{})
		if err != nil {
			return view{}, err
		}
		for i := range pods.Items {
			now.version = max(now.version, versionOf(pods.Items[i].ResourceVersion))
			if t, ok := targetOf(&pods.Items[i]); ok {
				now.prefixes[dataplanev1alpha1.PodPrefix(string(t.uid))] = true
			}
		}
	}
	return now, nil
}
