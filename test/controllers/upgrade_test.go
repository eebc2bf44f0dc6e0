// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers"
	"github.com/wsproxy/wsproxy/controllers/objects"
)

// A Deployment that does not say what it was made from is of an operator that did not
// write that down yet, or was made anew from a backup without it.
func TestWhatIsNotKnownOfDeploymentsReplacesNoMorePodsAtATime(t *testing.T) {
	r := newRoom(t)
	before := startOperator(t, r.namespace)
	all := []string{"one", "two", "three"}
	for _, name := range all {
		r.proxy(name)
		r.roll(name)
		r.condition(name, wsproxyv1alpha1.ConditionAccepted, metav1.ConditionTrue, wsproxyv1alpha1.ReasonAccepted)
	}
	before.stop()
	bare := func(name string) {
		r.patch(get[appsv1.Deployment](r, name+"-wsproxy"), `{"metadata":{"annotations":{%q:null,%q:null},"managedFields":[{}]}}`,
			objects.AnnotationPodTemplate, objects.AnnotationOwnTemplate)
		r.roll(name)
	}
	for _, name := range all {
		bare(name)
	}

	// The same image is no reason to tell that pods are replaced.
	same := startOperator(t, r.namespace)
	for _, name := range all {
		r.eventually(func() error {
			if d := get[appsv1.Deployment](r, name+"-wsproxy"); d.Annotations[objects.AnnotationPodTemplate] == "" {
				return fmt.Errorf("%s waits", name)
			}
			return nil
		})
		r.roll(name)
	}
	same.stop()
	var events eventsv1.EventList
	if err := r.api.List(t.Context(), &events, client.InNamespace(r.namespace)); err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Items {
		if e.Reason == wsproxyv1alpha1.EventReplacingPods {
			t.Errorf("%s: %s", e.Regarding.Name, e.Note)
		}
	}

	// Another one is, and only one proxy at a time takes it.
	for _, name := range all {
		bare(name)
	}
	const next = "registry.example/dataplane:next"
	startOperator(t, r.namespace, func(o *controllers.Options) { o.MaxConcurrentProxies, o.Image = 1, next })
	waiting := without(all, r.withImage(next, 1))
	r.waits(waiting, 1)
	r.withImage(next, 1)

	// Who waits is scaled, also where nothing says what was applied.
	r.scale(waiting[0], 4)
	r.eventually(func() error {
		if n := *get[appsv1.Deployment](r, waiting[0]+"-wsproxy").Spec.Replicas; n != 4 {
			return fmt.Errorf("%d replicas", n)
		}
		return nil
	})
	r.withImage(next, 1)
}
