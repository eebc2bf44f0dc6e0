// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

func TestAnObjectOfSomebodyElseIsLeftAlone(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	theirs := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "echo-wsproxy"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1234}}},
	}
	r.create(theirs)
	proxy := r.proxy("echo")
	c := r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionFalse, wsproxyv1alpha1.ReasonApplyFailed)
	if !strings.Contains(c.Message, `Service "echo-wsproxy" exists and is not this proxy's`) {
		t.Errorf("message is %q", c.Message)
	}
	if got := get[corev1.Service](r, "echo-wsproxy"); got.ResourceVersion != theirs.ResourceVersion {
		t.Errorf("their Service was written: %+v", got)
	}
	if err := r.api.Delete(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	r.eventually(func() error {
		if s := exists[corev1.Service](r, "echo-wsproxy"); !metav1.IsControlledBy(s, proxy) {
			return fmt.Errorf("the Service is %+v", s)
		}
		return nil
	})
}

func TestWhatSomebodyElseChangesIsPutRight(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.serving("echo", 1)
	config := get[corev1.ConfigMap](r, "echo-wsproxy")
	content := config.Data["snapshot.json"]
	r.patch(config, `{"data":{"snapshot.json":"{}"}}`)
	r.eventually(func() error {
		if get[corev1.ConfigMap](r, "echo-wsproxy").Data["snapshot.json"] != content {
			return fmt.Errorf("the ConfigMap is still theirs")
		}
		return nil
	})
	// Without its label the cache does not see it any more.
	r.patch(get[appsv1.Deployment](r, "echo-wsproxy"), `{"metadata":{"labels":{"app.kubernetes.io/managed-by":null}}}`)
	r.eventually(func() error {
		if l := get[appsv1.Deployment](r, "echo-wsproxy").Labels; l["app.kubernetes.io/managed-by"] == "" {
			return fmt.Errorf("labels are %v", l)
		}
		return nil
	})
	if err := r.api.Delete(t.Context(), get[corev1.Service](r, "echo-wsproxy")); err != nil {
		t.Fatal(err)
	}
	exists[corev1.Service](r, "echo-wsproxy")
	r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonReady)
}

func TestOrphansAreTakenOver(t *testing.T) {
	r := newRoom(t)
	o := startOperator(t, r.namespace)
	r.serving("echo", 1)
	o.stop()
	// What kubectl delete --cascade=orphan leaves.
	for _, object := range everyObject() {
		object.SetNamespace(r.namespace)
		object.SetName("echo-wsproxy")
		r.patch(object, `{"metadata":{"ownerReferences":null}}`)
	}
	if err := r.api.Delete(t.Context(), get[wsproxyv1alpha1.WebSocketProxy](r, "echo")); err != nil {
		t.Fatal(err)
	}
	deployment := get[appsv1.Deployment](r, "echo-wsproxy")
	proxy := r.proxy("echo", func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.Replicas = new(int32(1)) })
	startOperator(t, r.namespace)
	r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonReady)
	after := get[appsv1.Deployment](r, "echo-wsproxy")
	if !metav1.IsControlledBy(after, proxy) || after.Generation != deployment.Generation {
		t.Errorf("the Deployment is %+v, was of generation %d", after.ObjectMeta, deployment.Generation)
	}
}
