// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservice

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/certificates"
)

// cluster has a proxy in each of some namespaces and nothing else. It counts what is
// written, and refuses what is for the namespace "bad".
type cluster struct {
	client.Client
	namespaces []string
	written    map[string]int
}

func (c *cluster) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	var wanted client.ListOptions
	wanted.ApplyOptions(options)
	proxies := into.(*wsproxyv1alpha1.WebSocketProxyList)
	for _, namespace := range c.namespaces {
		if wanted.Namespace == "" || wanted.Namespace == namespace {
			p := wsproxyv1alpha1.WebSocketProxy{}
			p.Namespace, p.Name, p.UID = namespace, "echo", types.UID("uid-"+namespace)
			proxies.Items = append(proxies.Items, p)
		}
	}
	return nil
}

func (*cluster) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

func (c *cluster) Apply(_ context.Context, object runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
	if configMap, ok := object.(*corev1ac.ConfigMapApplyConfiguration); ok {
		c.written[*configMap.Namespace]++
		if *configMap.Namespace == "bad" {
			return errors.New("no")
		}
	}
	return nil
}

// Whoever makes theirs immutable, or has no quota for it, must not cost the operator all
// the others again and again.
func TestOnlyWhatCouldNotBeWrittenIsWrittenAgain(t *testing.T) {
	c := &cluster{namespaces: []string{"bad", "good", "other"}, written: map[string]int{}}
	authority := certificates.New(certificates.Options{Client: c, Live: c, Policy: certificates.DefaultPolicy(), Now: time.Now})
	if _, err := authority.Reconcile(t.Context(), reconcile.Request{}); err != nil {
		t.Fatal(err)
	}
	trust := &Trust{Client: c, Live: c, Authority: authority}
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	if err := trust.all.start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	var failed []reconcile.Request
	for queue.Len() > 0 {
		request, _ := queue.Get()
		if _, err := trust.Reconcile(t.Context(), request); err != nil {
			failed = append(failed, request)
		}
		queue.Done(request)
	}
	if want := map[string]int{"bad": 1, "good": 1, "other": 1}; !maps.Equal(c.written, want) {
		t.Errorf("written %v", c.written)
	}
	if want := []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: "bad"}}}; !slices.Equal(failed, want) {
		t.Errorf("tried again are %v, want %v", failed, want)
	}
}
