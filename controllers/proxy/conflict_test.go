// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// cutOff is a cluster that has a proxy, and refuses all else with err.
type cutOff struct {
	client.Client
	err error
}

func (c *cutOff) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return nil
}

func (c *cutOff) List(context.Context, client.ObjectList, ...client.ListOption) error { return c.err }

func (c *cutOff) Status() client.SubResourceWriter { return &cutOffStatus{err: c.err} }

type cutOffStatus struct {
	client.SubResourceWriter
	err error
}

func (c *cutOffStatus) Patch(context.Context, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
	return c.err
}

// An operator whose cache hears nothing any more must not ask the API server fifty
// times a second for each of its proxies.
func TestConflictsThatGoOnAreLookedAtLessAndLess(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{}, "chat", errors.New("behind"))
	cluster := &cutOff{err: conflict}
	r := &Reconciler{Client: cluster, Live: cluster, Now: time.Now}
	look := func(name string) time.Duration {
		// A conflict is no error, and another error no reason to look again soon.
		result, _ := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: name}})
		return result.RequeueAfter
	}
	want := conflictDelay
	for range 15 {
		if got := look("chat"); got != want {
			t.Fatalf("the next look comes after %v, want %v", got, want)
		}
		want = min(2*want, conflictMost)
	}
	if want != conflictMost {
		t.Errorf("the pause has grown to %v", want)
	}
	if got := look("news"); got != conflictDelay {
		t.Errorf("another proxy is looked at after %v", got)
	}
	// Whatever else goes wrong is no conflict.
	cluster.err = errors.New("no")
	look("chat")
	cluster.err = conflict
	if got := look("chat"); got != conflictDelay {
		t.Errorf("the first conflict after something else is looked at after %v", got)
	}
}
