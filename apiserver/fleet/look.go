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
	// lookPause is the pause after each look: names that nobody has issued cost
	// the kube-apiserver at most four lists of one namespace a second, however
	// many are asked for.
	lookPause = 250 * time.Millisecond
	// lookTimeout bounds one look.
	lookTimeout = 5 * time.Second
)

// looks are lists of the pods of a namespace as they are now. Whoever wants one
// shares the next that begins: one that began before may miss what its caller
// knows.
type looks struct {
	// list returns the prefixes of the pods of a namespace that have connections.
	list func(ctx context.Context, namespace string) (map[string]bool, error)

	mu sync.Mutex
	// The fields below are guarded by mu. A namespace has a queue while a
	// goroutine serves it.
	queues map[string]*queue
}

type queue struct{ next *look }

// look is one list; the other fields may be read when done is closed.
type look struct {
	done     chan struct{}
	prefixes map[string]bool
	err      error
}

func (l *looks) look(ctx context.Context, namespace string) (map[string]bool, error) {
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
		return mine.prefixes, mine.err
	case <-ctx.Done():
		return nil, ctx.Err()
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
		current.prefixes, current.err = l.list(limited, namespace)
		cancel()
		close(current.done)
		time.Sleep(lookPause)
	}
}

// listPrefixes asks the kube-apiserver for the pods as they are now.
func (f *Fleet) listPrefixes(ctx context.Context, namespace string) (map[string]bool, error) {
	pods, err := f.options.Pods.Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: Selector})
	if err != nil {
		return nil, err
	}
	prefixes := map[string]bool{}
	for i := range pods.Items {
		if t, ok := targetOf(&pods.Items[i]); ok {
			prefixes[dataplanev1alpha1.PodPrefix(string(t.uid))] = true
		}
	}
	return prefixes, nil
}
