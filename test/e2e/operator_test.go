// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

func TestTrafficGoesOnWithoutTheOperatorWhoChangesNothingWhenItIsBack(t *testing.T) {
	r := newRoom(t, "e2e-operator", 1)
	p := r.proxy("echo", nil)
	r.patch(p, `{"spec":{"settings":{"maxRetries":4}}}`)
	clients := r.talk(p, 100)
	r.heard(clients, time.Minute)
	version := r.programmed(p)
	before := r.versions(p)
	applied := r.applied(p)

	killOperator(t, r.Client)
	back := sendOperatorAway(t, r.Client)
	r.heard(clients, time.Minute)

	back()
	// Another proxy that becomes ready shows that the new operator leads and works.
	r.proxy("another", func(spec *wsproxyv1alpha1.WebSocketProxySpec) { spec.Replicas = new(int32(1)) })
	if now := r.programmed(p); now != version {
		t.Errorf("the version went from %s to %s", version, now)
	}
	r.heard(clients, time.Minute)

	after := r.versions(p)
	for _, object := range slices.Sorted(maps.Keys(before)) {
		if before[object] != after[object] {
			t.Errorf("%s was written: its resourceVersion went from %s to %s", object, before[object], after[object])
		}
	}
	if len(after) != len(before) {
		t.Errorf("the proxy had the objects %v and has %v", before, after)
	}
	if now := r.applied(p); now != applied {
		t.Errorf("the pods had accepted %d configurations and have accepted %d", applied, now)
	}
	report := clients.Stop(t.Context())
	if err := errors.Join(report.CheckOpen(), report.CheckAll()); err != nil {
		t.Error(err)
	}
}

// versions returns the resourceVersions of everything that the operator writes
// for a proxy and that nobody else does.
func (r *room) versions(p *wsproxyv1alpha1.WebSocketProxy) map[string]string {
	r.t.Helper()
	versions := map[string]string{}
	for _, list := range []client.ObjectList{
		&corev1.ConfigMapList{}, &corev1.SecretList{}, &corev1.ServiceAccountList{}, &corev1.ServiceList{},
		&appsv1.DeploymentList{}, &policyv1.PodDisruptionBudgetList{},
	} {
		if err := r.List(r.t.Context(), list, client.InNamespace(r.namespace), client.MatchingLabels{wsproxyv1alpha1.LabelProxy: p.Name}); err != nil {
			r.t.Fatal(err)
		}
		objects, err := apimeta.ExtractList(list)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(objects) != 1 {
			r.t.Errorf("the proxy has %d of %T, want 1", len(objects), list)
		}
		for _, o := range objects {
			object := o.(client.Object)
			versions[fmt.Sprintf("%T %s", object, object.GetName())] = object.GetResourceVersion()
		}
	}
	return versions
}

// killOperator kills every operator without a chance to say goodbye, so that
// its lease stays behind.
func killOperator(t *testing.T, c client.Client) {
	t.Helper()
	deployment := &appsv1.Deployment{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: operatorName}, deployment); err != nil {
		t.Fatal(err)
	}
	pods := &corev1.PodList{}
	if err := c.List(t.Context(), pods, client.InNamespace(operatorNamespace), client.MatchingLabels(deployment.Spec.Selector.MatchLabels)); err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) == 0 {
		t.Fatal("there is no operator to kill")
	}
	for _, pod := range pods.Items {
		if err := c.Delete(t.Context(), &pod, client.GracePeriodSeconds(0)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, time.Minute, "the operator to be gone", func(ctx context.Context) error {
		for _, pod := range pods.Items {
			if err := c.Get(ctx, client.ObjectKeyFromObject(&pod), &corev1.Pod{}); err == nil {
				return fmt.Errorf("%s is there", pod.Name)
			}
		}
		return nil
	})
}

// applied counts the configurations that the pods of a proxy say they accepted.
func (r *room) applied(p *wsproxyv1alpha1.WebSocketProxy) int {
	r.t.Helper()
	count := 0
	for _, pod := range r.pods(p.Name) {
		count += strings.Count(mustKubectl(r.t, "", "-n", r.namespace, "logs", pod.Name), "Configuration applied")
	}
	if count == 0 {
		r.t.Fatal("no pod says that it accepted a configuration, so it cannot be told when one does")
	}
	return count
}
