// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/namespaces"
	"github.com/wsproxy/wsproxy/controllers/objects"
)

func TestANamespaceThatIsDeletedIsToldWhenItsPodsAreGone(t *testing.T) {
	system, kept, doomed := newRoom(t), newRoom(t), newRoom(t)
	startOperatorAs(t, system.account("default", ""), system.namespace)
	for _, r := range []*room{kept, doomed} {
		r.proxy("echo", func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.Drain.TimeoutSeconds = new(int32(0)) })
		exists[corev1.ConfigMap](r, "echo-wsproxy")
	}
	staying, first, second := kept.onNode("echo-0"), doomed.onNode("echo-0"), doomed.onNode("echo-1")
	kept.delete(staying)
	kept.delete(staying, client.GracePeriodSeconds(0))

	doomed.delete(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: doomed.namespace}})
	doomed.delete(first)
	doomed.delete(second)
	doomed.told(corev1.ConditionTrue, namespaces.ReasonDraining)
	doomed.delete(first, client.GracePeriodSeconds(0))
	doomed.patchStatus(second, `{"status":{"phase":"Succeeded"}}`)
	doomed.told(corev1.ConditionFalse, namespaces.ReasonDrained)

	// Its pod ended before, so it was looked at before.
	if c := kept.conditions(); len(c) > 0 {
		t.Errorf("a namespace that is not deleted has the conditions %v", c)
	}
}

func TestAnOperatorThatWasAwayTellsANamespaceThatItsPodsAreGone(t *testing.T) {
	system, doomed := newRoom(t), newRoom(t)
	doomed.proxy("echo")
	doomed.delete(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: doomed.namespace}})
	startOperatorAs(t, system.account("default", ""), system.namespace)
	doomed.told(corev1.ConditionFalse, namespaces.ReasonDrained)
}

// onNode makes a pod of the proxy echo that runs somewhere, so that it does not
// go at once when it is deleted.
func (r *room) onNode(name string) *corev1.Pod {
	r.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: objects.Labels("echo")},
		Spec:       corev1.PodSpec{NodeName: "somewhere", Containers: []corev1.Container{{Name: objects.ContainerName, Image: image}}},
	}
	r.create(p)
	r.patchStatus(p, `{"status":{"phase":"Running"}}`)
	return p
}

func (r *room) delete(o client.Object, options ...client.DeleteOption) {
	r.Helper()
	if err := r.api.Delete(r.Context(), o, options...); err != nil {
		r.Fatal(err)
	}
}

// conditions are those of the room's own namespace.
func (r *room) conditions() []corev1.NamespaceCondition {
	r.Helper()
	n := &corev1.Namespace{}
	if err := r.api.Get(r.Context(), client.ObjectKey{Name: r.namespace}, n); err != nil {
		r.Fatal(err)
	}
	return n.Status.Conditions
}

// told waits until the room's own namespace says how far its pods are.
func (r *room) told(status corev1.ConditionStatus, reason string) {
	r.Helper()
	r.eventually(func() error {
		conditions := r.conditions()
		if !slices.ContainsFunc(conditions, func(c corev1.NamespaceCondition) bool {
			return c.Type == namespaces.Condition && c.Status == status && c.Reason == reason && c.Message != "" && !c.LastTransitionTime.IsZero()
		}) {
			return fmt.Errorf("the namespace has the conditions %v, want %s %s", conditions, status, reason)
		}
		return nil
	})
}
