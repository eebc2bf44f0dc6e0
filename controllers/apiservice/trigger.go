// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservice

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// trigger brings a controller to the one object that it keeps: at the start, when
// there may be no object yet to tell of itself, and when it is fired.
type trigger struct {
	object types.NamespacedName

	mu sync.Mutex
	// queue is nil before the controller runs.
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// start implements source.Func.
func (t *trigger) start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	t.mu.Lock()
	t.queue = queue
	t.mu.Unlock()
	t.fire(ctx)
	return nil
}

// fire is for Authority.OnChange. What comes before the controller runs is
// dropped: it looks when it starts.
func (t *trigger) fire(context.Context) { t.add(t.object) }

// add brings the controller to another object.
func (t *trigger) add(object types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queue != nil {
		t.queue.Add(reconcile.Request{NamespacedName: object})
	}
}
