// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

func key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "shop", Name: name}
}

// deployment of a proxy that has so many pods, some of them of the current template.
func deployment(proxy string, generation, observed int64, pods, updated int32) appsv1.Deployment {
	var d appsv1.Deployment
	d.Namespace, d.Name, d.Generation = "shop", proxy+"-wsproxy", generation
	d.OwnerReferences = []metav1.OwnerReference{{Kind: proxyKind, Name: proxy, Controller: new(true)}}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: observed, Replicas: pods, UpdatedReplicas: updated}
	return d
}

func paused(d appsv1.Deployment) appsv1.Deployment {
	d.Spec.Paused = true
	return d
}

func TestWhatCountsAsReplacing(t *testing.T) {
	failed := []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded"}}
	for name, tt := range map[string]struct {
		d          appsv1.Deployment
		conditions []appsv1.DeploymentCondition
		want       bool
	}{
		"paused":                          {paused(deployment("a", 2, 2, 3, 0)), nil, false},
		"paused a moment ago":             {paused(deployment("a", 3, 2, 3, 0)), nil, true},
		"settled":                         {deployment("a", 2, 2, 3, 3), nil, false},
		"of two templates":                {deployment("a", 2, 2, 4, 1), nil, true},
		"changed, and not looked at":      {deployment("a", 3, 2, 3, 3), nil, true},
		"new, its pods are starting":      {deployment("a", 1, 1, 3, 3), nil, false},
		"scaled to zero":                  {deployment("a", 2, 2, 0, 0), nil, false},
		"given up on":                     {deployment("a", 2, 2, 4, 1), failed, false},
		"given up on, then changed again": {deployment("a", 3, 2, 4, 1), failed, true},
	} {
		tt.d.Status.Conditions = tt.conditions
		if got := replacing(&tt.d); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestOnlySoManyAreLetThrough(t *testing.T) {
	l := New(2)
	all := []appsv1.Deployment{deployment("a", 1, 1, 2, 2), deployment("b", 1, 1, 2, 2), deployment("c", 1, 1, 2, 2), deployment("d", 1, 1, 2, 2)}
	for _, name := range []string{"a", "b"} {
		if !l.Take(key(name), all, false) {
			t.Fatalf("%s was not let through", name)
		}
		l.Written(key(name), 2)
	}
	// The cache knows of neither write yet.
	if l.Take(key("c"), all, false) || l.Take(key("d"), all, false) {
		t.Fatal("a third was let through")
	}
	// Who replaces its pods already may change its mind.
	if !l.Take(key("a"), all, false) {
		t.Error("a was not let through again")
	}
	l.Written(key("a"), 3)
	// Scaling is not replacing.
	scaled := slices.Clone(all)
	scaled[3] = deployment("d", 2, 1, 2, 2)
	if l.Take(key("d"), scaled, false) {
		t.Error("d was let through because it is being scaled")
	}
	if next := l.Observe(key("b"), &all[1]); next != nil {
		t.Errorf("%v are called while the cache does not know that b replaces its pods", next)
	}
	all[0], all[1] = deployment("a", 3, 3, 3, 1), deployment("b", 2, 2, 3, 1)
	if next := l.Observe(key("b"), &all[1]); next != nil {
		t.Errorf("%v are called while b replaces its pods", next)
	}
	if l.Take(key("c"), all, false) {
		t.Fatal("a third was let through")
	}
	all[1] = deployment("b", 2, 2, 2, 2)
	if next := l.Observe(key("b"), &all[1]); !slices.Equal(next, []types.NamespacedName{key("c"), key("d")}) {
		t.Errorf("called are %v, want c and d in the order in which they came", next)
	}
	if next := l.Observe(key("b"), &all[1]); next != nil {
		t.Errorf("called twice: %v", next)
	}
	if !l.Take(key("c"), all, false) {
		t.Error("c was not let through")
	}
	if l.Take(key("d"), all, false) {
		t.Error("d was let through")
	}
	// A write that failed replaces nothing.
	l.Written(key("c"), 0)
	if !l.Take(key("d"), all, false) {
		t.Error("d was not let through in the place of c")
	}
}

func TestWhoMustNotWaitIsCounted(t *testing.T) {
	l := New(1)
	all := []appsv1.Deployment{deployment("a", 2, 2, 3, 1), deployment("b", 1, 1, 2, 2), deployment("c", 1, 1, 2, 2)}
	if !l.Take(key("b"), all, true) {
		t.Fatal("b was not let through")
	}
	l.Written(key("b"), 2)
	all[0] = deployment("a", 2, 2, 2, 2)
	if l.Take(key("c"), all, false) {
		t.Error("c was let through beside b")
	}
}

func TestAProxyThatIsGoneMakesRoom(t *testing.T) {
	l := New(1)
	all := []appsv1.Deployment{deployment("a", 1, 1, 2, 2), deployment("b", 1, 1, 2, 2), deployment("c", 1, 1, 2, 2)}
	l.Take(key("a"), all, false)
	l.Written(key("a"), 2)
	if l.Take(key("b"), all, false) || l.Take(key("c"), all, false) {
		t.Fatal("another was let through")
	}
	// One that waited makes none.
	if next := l.Forget(key("b")); !slices.Equal(next, []types.NamespacedName{key("c")}) || l.Take(key("c"), all, false) {
		t.Errorf("called are %v, want c, in vain", next)
	}
	if next := l.Forget(key("a")); !slices.Equal(next, []types.NamespacedName{key("c")}) {
		t.Errorf("called are %v, want c", next)
	}
	if !l.Take(key("c"), all[1:], false) {
		t.Error("c was not let through")
	}
}

func TestADeploymentOfAStrangerTakesNoRoom(t *testing.T) {
	l := New(1)
	stranger := deployment("b", 2, 2, 3, 1)
	stranger.OwnerReferences, stranger.Labels = nil, map[string]string{wsproxyv1alpha1.LabelProxy: "b"}
	if !l.Take(key("a"), []appsv1.Deployment{deployment("a", 1, 1, 2, 2), stranger}, false) {
		t.Error("a was not let through")
	}
}

// Many workers ask at the same time, and none of them sees what another one has
// just written.
func TestManyAtATime(t *testing.T) {
	l := New(5)
	var all []appsv1.Deployment
	for i := range 50 {
		all = append(all, deployment(fmt.Sprint(i), 1, 1, 2, 2))
	}
	var through sync.Map
	var workers sync.WaitGroup
	for i := range 50 {
		workers.Go(func() {
			if proxy := key(fmt.Sprint(i)); l.Take(proxy, all, false) {
				through.Store(i, true)
				l.Written(proxy, 2)
			}
		})
	}
	workers.Wait()
	n := 0
	through.Range(func(any, any) bool { n++; return true })
	if n != 5 {
		t.Errorf("%d were let through, want 5", n)
	}
}
