// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// maxRetries waits until maxRetries has that value, from there.
func (r *room) maxRetries(proxy string, value int32, source wsproxyv1alpha1.SettingSource) {
	r.Helper()
	r.eventually(func() error {
		got := get[wsproxyv1alpha1.WebSocketProxy](r, proxy).Status.EffectiveSettings
		if got == nil || got.MaxRetries.Value != value || got.MaxRetries.Source != source {
			return fmt.Errorf("effective settings are %+v, want maxRetries %d from %s", got, value, source)
		}
		return nil
	})
}

func TestAChangeOfTheClassReachesItsProxies(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	class := r.class("gold", func(c *wsproxyv1alpha1.WebSocketProxyClass) { c.Spec.Settings.MaxRetries = new(int32(5)) })
	named := func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.ClassName = "gold" }
	a, b := r.serving("a", 1, named)[0], r.serving("b", 1, named)[0]
	a.retries(5)
	b.retries(5)
	r.maxRetries("a", 5, "Class/gold")

	r.patch(class, `{"spec":{"settings":{"maxRetries":6}}}`)
	a.retries(6)
	b.retries(6)

	// What the proxy says goes before; what it says no longer is inherited again.
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "a"), `{"spec":{"settings":{"maxRetries":9}}}`)
	a.retries(9)
	r.maxRetries("a", 9, wsproxyv1alpha1.SourceProxy)
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "a"), `{"spec":{"settings":{"maxRetries":null}}}`)
	a.retries(6)
	r.maxRetries("a", 6, "Class/gold")
	r.patch(class, `{"spec":{"settings":{"maxRetries":null}}}`)
	a.retries(wsproxyv1alpha1.DefaultMaxRetries)
	r.maxRetries("a", wsproxyv1alpha1.DefaultMaxRetries, wsproxyv1alpha1.SourceBuiltIn)
}

func TestAMissingClassKeepsServing(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.class("gold", func(c *wsproxyv1alpha1.WebSocketProxyClass) {
		c.Spec.Settings.MaxRetries = new(int32(5))
		c.Spec.Image = "registry.example/dataplane:gold"
	})
	p := r.serving("echo", 1, func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.ClassName = "gold" })[0]
	before := r.versions("echo")

	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"className":"tin","settings":{"maxRetries":7}}}`)
	r.condition("echo", wsproxyv1alpha1.ConditionAccepted, metav1.ConditionFalse, wsproxyv1alpha1.ReasonClassNotFound)
	const missing = `spec.className: WebSocketProxyClass "tin" does not exist`
	if c := r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionFalse, wsproxyv1alpha1.ReasonNotAccepted); c.Message != missing {
		t.Errorf("Ready says %q, want %q", c.Message, missing)
	}
	if c := r.condition("echo", wsproxyv1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, wsproxyv1alpha1.ReasonClassNotFound); c.Message != missing {
		t.Errorf("ResolvedRefs says %q, want %q", c.Message, missing)
	}
	r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionFalse, wsproxyv1alpha1.ReasonNotAttempted)
	after := r.versions("echo")
	delete(before, "*v1alpha1.WebSocketProxy")
	for kind, version := range before {
		if after[kind] != version {
			t.Errorf("%s was written", kind)
		}
	}
	p.retries(5)
	status := get[wsproxyv1alpha1.WebSocketProxy](r, "echo").Status
	if status.ClassName != "gold" || status.EffectiveSettings.MaxRetries.Value != 5 {
		t.Errorf("status says class %q and maxRetries %d, but the pods have what they had", status.ClassName, status.EffectiveSettings.MaxRetries.Value)
	}
	if meta.FindStatusCondition(status.Conditions, wsproxyv1alpha1.ConditionStalled) != nil {
		t.Error("Stalled, though the class may be on its way")
	}

	tin := r.class("tin", func(*wsproxyv1alpha1.WebSocketProxyClass) {})
	p.retries(7)
	r.eventually(func() error {
		if got := get[appsv1.Deployment](r, "echo-wsproxy").Spec.Template.Spec.Containers[0].Image; got != image {
			return fmt.Errorf("image is %q", got)
		}
		return nil
	})
	r.roll("echo")
	r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonReady)
	r.events("echo", wsproxyv1alpha1.ReasonClassNotFound, corev1.EventTypeWarning)
	r.events("echo", wsproxyv1alpha1.ReasonAccepted, corev1.EventTypeNormal)

	// A class that is deleted is as good as one that never was.
	before = r.versions("echo")
	if err := r.api.Delete(t.Context(), tin); err != nil {
		t.Fatal(err)
	}
	r.condition("echo", wsproxyv1alpha1.ConditionAccepted, metav1.ConditionFalse, wsproxyv1alpha1.ReasonClassNotFound)
	after = r.versions("echo")
	for kind, version := range before {
		if kind != "*v1alpha1.WebSocketProxy" && after[kind] != version {
			t.Errorf("%s was written", kind)
		}
	}
	p.retries(7)
}

// With one kubectl apply they are there at the same time, and the operator hears of
// one of them first.
// Whoever edits a class does not stop the autoscalers of its proxies.
func TestAProxyThatIsNotAcceptedIsScaled(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.class("gold", func(c *wsproxyv1alpha1.WebSocketProxyClass) { c.Spec.Image = "registry.example/dataplane:gold" })
	r.serving("echo", 1, func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.ClassName = "gold" })
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"className":"tin"}}`)
	r.condition("echo", wsproxyv1alpha1.ConditionAccepted, metav1.ConditionFalse, wsproxyv1alpha1.ReasonClassNotFound)
	before := get[appsv1.Deployment](r, "echo-wsproxy").Spec
	for _, wanted := range []int32{3, 0, 2} {
		r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"replicas":%d}}`, wanted)
		r.eventually(func() error {
			if got := get[appsv1.Deployment](r, "echo-wsproxy").Spec.Replicas; *got != wanted {
				return fmt.Errorf("%d pods are asked for, want %d", *got, wanted)
			}
			return nil
		})
	}
	after := get[appsv1.Deployment](r, "echo-wsproxy").Spec
	after.Replicas = before.Replicas
	if !equality.Semantic.DeepEqual(after, before) {
		t.Errorf("the Deployment is\n%+v, was\n%+v", after, before)
	}
}

func TestAClassThatCameWithItsProxyIsNotReportedMissing(t *testing.T) {
	r := newRoom(t)
	_, l := r.startLagging(&lag{only: "websocketproxyclasses"})
	r.proxy("before")
	r.condition("before", wsproxyv1alpha1.ConditionAccepted, metav1.ConditionTrue, wsproxyv1alpha1.ReasonAccepted)
	release := l.hold()
	defer release()

	r.class("gold", func(c *wsproxyv1alpha1.WebSocketProxyClass) { c.Spec.Settings.MaxRetries = new(int32(5)) })
	r.proxy("echo", func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.ClassName = "gold" })
	r.eventually(func() error {
		s := get[wsproxyv1alpha1.WebSocketProxy](r, "echo").Status
		c := meta.FindStatusCondition(s.Conditions, wsproxyv1alpha1.ConditionAccepted)
		if c == nil {
			return errors.New("nobody has looked at it")
		}
		if c.Status != metav1.ConditionTrue {
			t.Fatalf("Accepted is %+v", c)
		}
		return nil
	})
	r.maxRetries("echo", 5, "Class/gold")
}

// events waits for an event about a proxy.
func (r *room) events(proxy, reason, kind string) {
	r.Helper()
	r.eventually(func() error {
		var list eventsv1.EventList
		if err := r.api.List(r.Context(), &list, client.InNamespace(r.namespace)); err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.Regarding.Name == proxy && e.Reason == reason && e.Type == kind {
				return nil
			}
		}
		return errors.New("no event " + reason)
	})
}

func TestTheDefaultClassIsTheOneThatIsMarked(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.proxy("echo")
	r.maxRetries("echo", wsproxyv1alpha1.DefaultMaxRetries, wsproxyv1alpha1.SourceBuiltIn)
	marked := func(retries int32) func(c *wsproxyv1alpha1.WebSocketProxyClass) {
		return func(c *wsproxyv1alpha1.WebSocketProxyClass) {
			c.Annotations = map[string]string{wsproxyv1alpha1.DefaultClassAnnotation: "true"}
			c.Spec.Settings.MaxRetries = &retries
		}
	}
	r.class("one", marked(11))
	r.maxRetries("echo", 11, "Class/one")
	two := r.class("two", marked(12))
	c := r.condition("echo", wsproxyv1alpha1.ConditionAccepted, metav1.ConditionFalse, wsproxyv1alpha1.ReasonMultipleDefaults)
	if want := "spec.className is empty and more than one WebSocketProxyClass is marked as the default: one, two"; c.Message != want {
		t.Errorf("message is %q", c.Message)
	}
	r.patch(two, `{"metadata":{"annotations":{%q:null}}}`, wsproxyv1alpha1.DefaultClassAnnotation)
	r.condition("echo", wsproxyv1alpha1.ConditionAccepted, metav1.ConditionTrue, wsproxyv1alpha1.ReasonAccepted)
	r.maxRetries("echo", 11, "Class/one")
}

func TestAnOverrideThatTheClassForbidsStalls(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.class("strict", func(c *wsproxyv1alpha1.WebSocketProxyClass) { c.Spec.AllowedOverrides.NodeSelector = new(false) })
	r.proxy("echo", func(s *wsproxyv1alpha1.WebSocketProxySpec) {
		s.ClassName = "strict"
		s.PodTemplate.NodeSelector = map[string]string{"zone": "a"}
	})
	r.condition("echo", wsproxyv1alpha1.ConditionAccepted, metav1.ConditionFalse, wsproxyv1alpha1.ReasonOverrideNotAllowed)
	r.condition("echo", wsproxyv1alpha1.ConditionStalled, metav1.ConditionTrue, wsproxyv1alpha1.ReasonOverrideNotAllowed)
	r.missing(&appsv1.Deployment{}, "echo-wsproxy")
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"podTemplate":null}}`)
	r.condition("echo", wsproxyv1alpha1.ConditionAccepted, metav1.ConditionTrue, wsproxyv1alpha1.ReasonAccepted)
	r.eventually(func() error {
		if meta.FindStatusCondition(get[wsproxyv1alpha1.WebSocketProxy](r, "echo").Status.Conditions, wsproxyv1alpha1.ConditionStalled) != nil {
			return errors.New("still Stalled")
		}
		return nil
	})
}

func TestWhatTheAPIServerRefusesStalls(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.proxy("echo", func(s *wsproxyv1alpha1.WebSocketProxySpec) {
		// Nothing of ours looks into an affinity.
		s.PodTemplate.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
				{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: "Near", Values: []string{"a"}}}},
			}},
		}}
	})
	c := r.condition("echo", wsproxyv1alpha1.ConditionAccepted, metav1.ConditionFalse, wsproxyv1alpha1.ReasonInvalidSpec)
	if c.Message == "" {
		t.Error("no word about what is wrong")
	}
	r.condition("echo", wsproxyv1alpha1.ConditionStalled, metav1.ConditionTrue, wsproxyv1alpha1.ReasonInvalidSpec)
}

func TestAnImageOfTheClassRollsThePods(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	class := r.class("gold", func(*wsproxyv1alpha1.WebSocketProxyClass) {})
	p := r.serving("echo", 1, func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.ClassName = "gold" })[0]
	r.patch(class, `{"spec":{"image":"registry.example/dataplane:next"}}`)
	r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionFalse, wsproxyv1alpha1.ReasonProgressing)
	d := get[appsv1.Deployment](r, "echo-wsproxy")
	if got := d.Spec.Template.Spec.Containers[0].Image; got != "registry.example/dataplane:next" {
		t.Errorf("image is %q", got)
	}
	r.roll("echo")
	r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonReady)
	p.has(func(*dataplanev1alpha1.Snapshot) bool { return true })
}
