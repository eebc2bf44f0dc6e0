// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// A scale subresource whose spec.replicas is absent would answer GET with 500,
// and an autoscaler could never begin.
func TestScaleWorksWhereTheManifestHasNoReplicas(t *testing.T) {
	proxy := minimal(namespace(t), "chat")
	if err := server.client.Create(t.Context(), proxy); err != nil {
		t.Fatal(err)
	}
	proxy.Status = wsproxyv1alpha1.WebSocketProxyStatus{Replicas: 2, Selector: "wsproxy.io/proxy=chat"}
	if err := server.client.Status().Update(t.Context(), proxy); err != nil {
		t.Fatal(err)
	}

	scale := &autoscalingv1.Scale{}
	if err := server.client.SubResource("scale").Get(t.Context(), proxy, scale); err != nil {
		t.Fatal(err)
	}
	if scale.Spec.Replicas != wsproxyv1alpha1.DefaultReplicas || scale.Status.Replicas != 2 || scale.Status.Selector != "wsproxy.io/proxy=chat" {
		t.Errorf("scale is %+v", scale)
	}

	scale.Spec.Replicas = 5
	if err := server.client.SubResource("scale").Update(t.Context(), proxy, client.WithSubResourceBody(scale)); err != nil {
		t.Fatal(err)
	}
	if err := server.client.Get(t.Context(), client.ObjectKeyFromObject(proxy), proxy); err != nil {
		t.Fatal(err)
	}
	if got := proxy.Spec.EffectiveReplicas(); got != 5 {
		t.Errorf("%d replicas after scaling to 5", got)
	}

	scale.Spec.Replicas, scale.ResourceVersion = 1001, proxy.ResourceVersion
	err := server.client.SubResource("scale").Update(t.Context(), proxy, client.WithSubResourceBody(scale))
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "1001") {
		t.Errorf("scaling past the range: %v", err)
	}
}

func TestStatusIsASubresource(t *testing.T) {
	proxy := minimal(namespace(t), "chat")
	if err := server.client.Create(t.Context(), proxy); err != nil {
		t.Fatal(err)
	}

	// Whoever may write the spec cannot write the status with it.
	proxy.Spec.Replicas = new(int32(3))
	proxy.Status.Connections = 7
	if err := server.client.Update(t.Context(), proxy); err != nil {
		t.Fatal(err)
	}
	if proxy.Generation != 2 || *proxy.Spec.Replicas != 3 || proxy.Status.Connections != 0 {
		t.Errorf("after an update: generation %d, replicas %d, connections %d", proxy.Generation, *proxy.Spec.Replicas, proxy.Status.Connections)
	}

	// The operator, which writes the status, changes neither spec nor generation.
	proxy.Spec.Replicas = new(int32(9))
	proxy.Status.Connections = 7
	effective := proxy.Spec.Settings.Effective(nil)
	proxy.Status.EffectiveSettings = &effective
	if err := server.client.Status().Update(t.Context(), proxy); err != nil {
		t.Fatal(err)
	}
	if proxy.Generation != 2 || *proxy.Spec.Replicas != 3 || proxy.Status.Connections != 7 {
		t.Errorf("after an update of the status: generation %d, replicas %d, connections %d", proxy.Generation, *proxy.Spec.Replicas, proxy.Status.Connections)
	}
	if got := proxy.Status.EffectiveSettings; got == nil || *got != effective {
		t.Errorf("effective settings came back as %+v", got)
	}
}

// An autoscaler and a Git repository own different fields of one object; neither
// must have to force its will on the other.
func TestTwoManagersOfDifferentFieldsDoNotConflict(t *testing.T) {
	ns := namespace(t)
	apply := func(manager, manifest string) (string, error) {
		command := []string{"apply", "--server-side", "--field-manager", manager, "-n", ns, "-f", "-"}
		return kubectlWith(t, manifest, command...)
	}
	const head = "apiVersion: wsproxy.io/v1alpha1\nkind: WebSocketProxy\nmetadata: {name: chat}\n"
	git := head + "spec: {upstream: {url: ws://chat.example.com}, settings: {retryDelay: 500}}\n"
	if output, err := apply("git", git); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if output, err := apply("scaler", head+"spec: {replicas: 7}\n"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if output, err := apply("git", strings.Replace(git, "500", "600", 1)); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}

	proxy := &wsproxyv1alpha1.WebSocketProxy{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "chat"}}
	if err := server.client.Get(t.Context(), client.ObjectKeyFromObject(proxy), proxy); err != nil {
		t.Fatal(err)
	}
	if *proxy.Spec.Replicas != 7 || *proxy.Spec.Settings.RetryDelay != 600 {
		t.Errorf("replicas %d, retryDelay %d, want 7 and 600", *proxy.Spec.Replicas, *proxy.Spec.Settings.RetryDelay)
	}

	// The same field, on the other hand, has one owner.
	if output, err := apply("scaler", head+"spec: {replicas: 7, settings: {retryDelay: 700}}\n"); err == nil || !strings.Contains(output, "conflict") {
		t.Errorf("a second owner of retryDelay: %v\n%s", err, output)
	}

	// What its only owner leaves out is gone, and inherited again.
	if output, err := apply("git", head+"spec: {upstream: {url: ws://chat.example.com}}\n"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if err := server.client.Get(t.Context(), client.ObjectKeyFromObject(proxy), proxy); err != nil {
		t.Fatal(err)
	}
	if got := proxy.Spec.Settings.Effective(nil).RetryDelay; got.Source != wsproxyv1alpha1.SourceBuiltIn || *proxy.Spec.Replicas != 7 {
		t.Errorf("retryDelay is %+v and replicas %d after git left retryDelay out", got, *proxy.Spec.Replicas)
	}
}
