// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservice

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// cluster has a proxy in each of some namespaces and nothing else, or what is said. It
// counts what is written, and refuses what is for the namespace "bad", and to list
// ConfigMaps of the namespace "gone".
type cluster struct {
	client.Client
	namespaces []string
	written    map[string]int
	// have is the ConfigMap of each namespace that has one, and last the one that was
	// written last.
	have map[string]*corev1.ConfigMap
	last *corev1ac.ConfigMapApplyConfiguration
}

func (c *cluster) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	var wanted client.ListOptions
	wanted.ApplyOptions(options)
	if all, ok := into.(*corev1.ConfigMapList); ok {
		if wanted.Namespace == "gone" {
			return apierrors.NewForbidden(corev1.Resource("configmaps"), "", nil)
		}
		for _, c := range c.have {
			all.Items = append(all.Items, *c)
		}
		return nil
	}
	proxies := into.(*wsproxyv1alpha1.WebSocketProxyList)
	for i, namespace := range c.namespaces {
		if wanted.Namespace == "" || wanted.Namespace == namespace {
			p := wsproxyv1alpha1.WebSocketProxy{}
			p.Namespace, p.Name, p.UID = namespace, fmt.Sprintf("echo-%d", i), types.UID(fmt.Sprint("uid-", i))
			// The last one is the oldest.
			p.CreationTimestamp = metav1.NewTime(time.Unix(int64(1_800_000_000-i), 0))
			proxies.Items = append(proxies.Items, p)
		}
	}
	return nil
}

func (c *cluster) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	if have, ok := into.(*corev1.ConfigMap); ok && c.have[key.Namespace] != nil {
		*have = *c.have[key.Namespace]
		return nil
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

func (c *cluster) Apply(_ context.Context, object runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
	if configMap, ok := object.(*corev1ac.ConfigMapApplyConfiguration); ok {
		c.written[*configMap.Namespace]++
		c.last = configMap
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
	trust := &Trust{Client: c, Live: c, Authority: loaded(t, c)}
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

// loaded is an authority that has certificates.
func loaded(t *testing.T, c *cluster) *certificates.Authority {
	t.Helper()
	authority := certificates.New(certificates.Options{Client: c, Live: c, Policy: certificates.DefaultPolicy(), Now: time.Now})
	if _, err := authority.Reconcile(t.Context(), reconcile.Request{}); err != nil {
		t.Fatal(err)
	}
	return authority
}

// The ConfigMap does not grow with the proxies, nor is another one written for each.
func TestTheOldestProxiesOwnWhatIsTrusted(t *testing.T) {
	c := &cluster{namespaces: slices.Repeat([]string{"shop"}, 15), written: map[string]int{}}
	trust := &Trust{Client: c, Live: c, Authority: loaded(t, c)}
	if _, err := trust.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop"}}); err != nil {
		t.Fatal(err)
	}
	var owners []string
	for _, o := range c.last.OwnerReferences {
		owners = append(owners, *o.Name)
	}
	want := []string{"echo-14", "echo-13", "echo-12", "echo-11", "echo-10", "echo-9", "echo-8", "echo-7", "echo-6", "echo-5"}
	if !slices.Equal(owners, want) {
		t.Errorf("owned by %v, want %v", owners, want)
	}
}

// A rotation does not wait for somebody who has made theirs immutable.
func TestWhatIsImmutableIsNotWaitedFor(t *testing.T) {
	c := &cluster{namespaces: []string{"shop"}, written: map[string]int{}}
	trust := &Trust{Client: c, Live: c, Authority: loaded(t, c)}
	state, err := trust.Authority.State()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		immutable bool
		data      string
		written   int
		trusts    bool
	}{
		"as it should be":            {false, string(state.Bundle()), 1, true},
		"as it should be, immutable": {true, string(state.Bundle()), 1, true},
		"something else":             {false, "other", 1, false},
		"something else, immutable":  {true, "other", 0, true},
	} {
		have := &corev1.ConfigMap{Immutable: &test.immutable, Data: map[string]string{FileCA: test.data}}
		have.Namespace, have.Name = "shop", TrustName
		c.have, c.written = map[string]*corev1.ConfigMap{"shop": have}, map[string]int{}
		if _, err := trust.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop"}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.written["shop"] != test.written {
			t.Errorf("%s: written %d times", name, c.written["shop"])
		}
		if err := trust.Trusts(t.Context(), state.Bundle()); (err == nil) != test.trusts {
			t.Errorf("%s: the rotation goes on: %v", name, err)
		}
	}
}

// The rights in a namespace go with it, and a rotation does not wait for those who were
// in there.
func TestANamespaceThatIsGoneIsNotWaitedFor(t *testing.T) {
	c := &cluster{namespaces: []string{"shop"}, written: map[string]int{}}
	trust := &Trust{Client: c, Live: c, Namespaces: []string{"gone", "shop"}}
	if err := trust.Trusts(t.Context(), nil); err != nil {
		t.Errorf("the rotation waits: %v", err)
	}
	c.namespaces = []string{"gone", "shop"}
	if trust.Trusts(t.Context(), nil) == nil {
		t.Error("nobody knows what is trusted where there is a proxy, and the rotation goes on")
	}
}
