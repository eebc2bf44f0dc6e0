// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers"
)

// withImage waits until so many Deployments of the room have an image, and returns
// their proxies.
func (r *room) withImage(image string, n int) []string {
	r.Helper()
	var proxies []string
	r.eventually(func() error {
		var list appsv1.DeploymentList
		if err := r.api.List(r.Context(), &list, client.InNamespace(r.namespace)); err != nil {
			return err
		}
		proxies = nil
		for _, d := range list.Items {
			if d.Spec.Template.Spec.Containers[0].Image == image {
				proxies = append(proxies, d.Labels[wsproxyv1alpha1.LabelProxy])
			}
		}
		if len(proxies) < n {
			return fmt.Errorf("%d proxies have %s, want %d", len(proxies), image, n)
		}
		return nil
	})
	if len(proxies) != n {
		r.Fatalf("%d proxies have %s at the same time, want %d", len(proxies), image, n)
	}
	slices.Sort(proxies)
	return proxies
}

// begins reports what a Deployment controller would when it has begun to replace
// the pods of a proxy.
func (r *room) begins(proxy string) {
	r.Helper()
	d := get[appsv1.Deployment](r, proxy+"-wsproxy")
	r.patchStatus(d, `{"status":{"observedGeneration":%d,"replicas":%d,"updatedReplicas":1}}`, d.Generation, *d.Spec.Replicas+1)
}

// waits waits until every one of the proxies says what it waits for.
func (r *room) waits(proxies []string, most int) {
	r.Helper()
	for _, name := range proxies {
		r.eventually(func() error {
			c := r.condition(name, wsproxyv1alpha1.ConditionReady, metav1.ConditionFalse, wsproxyv1alpha1.ReasonProgressing)
			if want := fmt.Sprintf("waits to replace its pods: %d other proxies replace theirs, and no more may at a time", most); c.Message != want {
				return fmt.Errorf("%s is not ready because %q", name, c.Message)
			}
			return nil
		})
	}
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(some, name) })
}

func TestAnImageOfTheClassReplacesThePodsOfSoManyProxiesAtATime(t *testing.T) {
	const old, next = "registry.example/dataplane:old", "registry.example/dataplane:next"
	most := controllers.DefaultMaxConcurrentProxies
	r := newRoom(t)
	first := startOperator(t, r.namespace)
	class := r.class("gold", func(c *wsproxyv1alpha1.WebSocketProxyClass) { c.Spec.Image = old })
	var all []string
	for i := range most + 3 {
		name := fmt.Sprintf("echo-%d", i)
		all = append(all, name)
		r.proxy(name, func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.ClassName = "gold" })
		r.roll(name)
	}
	r.withImage(old, most+3)

	r.patch(class, `{"spec":{"image":%q}}`, next)
	replacing := r.withImage(next, most)
	waiting := without(all, replacing)
	r.waits(waiting, most)
	for _, name := range replacing {
		r.begins(name)
	}

	// An operator that has just started knows it from the Deployments.
	first.stop()
	startOperator(t, r.namespace)
	r.waits(waiting, most)

	// The number of pods has not to wait: an autoscaler has its reasons. The image
	// has.
	r.scale(waiting[0], 4)
	r.eventually(func() error {
		if n := *get[appsv1.Deployment](r, waiting[0]+"-wsproxy").Spec.Replicas; n != 4 {
			return fmt.Errorf("%d replicas", n)
		}
		return nil
	})
	r.roll(waiting[0])
	r.waits(waiting, most)
	r.withImage(next, most)

	// Who is done makes room for the next.
	r.roll(replacing[0])
	r.withImage(next, most+1)
	// The bad image of one does not hold up everybody for ever.
	d := get[appsv1.Deployment](r, replacing[1]+"-wsproxy")
	r.patchStatus(d, `{"status":{"conditions":[{"type":"Progressing","status":"False","reason":"ProgressDeadlineExceeded"}],"observedGeneration":%d}}`, d.Generation)
	last := without(all, r.withImage(next, most+2))
	r.waits(last, most)
	// Nor does a proxy that is gone.
	if err := r.api.Delete(t.Context(), get[wsproxyv1alpha1.WebSocketProxy](r, replacing[2])); err != nil {
		t.Fatal(err)
	}
	// There is no garbage collector.
	if err := r.api.Delete(t.Context(), get[appsv1.Deployment](r, replacing[2]+"-wsproxy")); err != nil {
		t.Fatal(err)
	}
	r.withImage(next, most+2)
	r.events(last[0], wsproxyv1alpha1.EventReplacingPods, corev1.EventTypeNormal)
}

// fails reports what a Deployment controller would after the progress deadline.
func (r *room) fails(proxy string) {
	r.Helper()
	d := get[appsv1.Deployment](r, proxy+"-wsproxy")
	r.patchStatus(d, `{"status":{"conditions":[{"type":"Progressing","status":"False","reason":"ProgressDeadlineExceeded","message":"timed out"}],"observedGeneration":%d}}`, d.Generation)
}

func TestAnImageThatDoesNotStartIsGivenToNoFurtherProxy(t *testing.T) {
	const old, bad, good = "registry.example/dataplane:old", "registry.example/dataplane:bad", "registry.example/dataplane:good"
	r := newRoom(t)
	startOperator(t, r.namespace, func(o *controllers.Options) { o.MaxConcurrentProxies = 2 })
	class := r.class("gold", func(c *wsproxyv1alpha1.WebSocketProxyClass) { c.Spec.Image = old })
	var all []string
	for i := range 4 {
		all = append(all, fmt.Sprintf("echo-%d", i))
		r.proxy(all[i], func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.ClassName = "gold" })
		r.roll(all[i])
	}
	r.withImage(old, len(all))
	r.patch(class, `{"spec":{"image":%q}}`, bad)
	failing := r.withImage(bad, 2)
	waiting := without(all, failing)
	r.waits(waiting, 2)
	for _, name := range failing {
		r.begins(name)
	}

	// Kubernetes gives up on one. There is room for another, and none is let in.
	stopped := func(names []string, failed int) {
		t.Helper()
		for _, name := range names {
			c := r.condition(name, wsproxyv1alpha1.ConditionReady, metav1.ConditionFalse, wsproxyv1alpha1.ReasonRolloutStopped)
			if want := fmt.Sprintf("waits to replace its pods: the new pods of %d proxies that were given the same image and podTemplate "+
				"do not become ready, so no further proxy is given them", failed); c.Message != want {
				t.Errorf("%s is not ready because %q, want %q", name, c.Message, want)
			}
			r.is(name, status.InProgressStatus, wsproxyv1alpha1.ReasonRolloutStopped)
		}
	}
	r.fails(failing[0])
	r.eventually(func() error {
		const want = "1 of 2 pods are of the current template; Kubernetes does not expect more: timed out"
		if c := r.condition(failing[0], wsproxyv1alpha1.ConditionReady, metav1.ConditionFalse, wsproxyv1alpha1.ReasonProgressing); c.Message != want {
			return fmt.Errorf("%s is not ready because %q", failing[0], c.Message)
		}
		return nil
	})
	stopped(waiting, 1)
	r.withImage(bad, 2)
	// The number of pods is nobody's fault.
	r.scale(waiting[0], 4)
	r.eventually(func() error {
		if n := *get[appsv1.Deployment](r, waiting[0]+"-wsproxy").Spec.Replicas; n != 4 {
			return fmt.Errorf("%d replicas", n)
		}
		return nil
	})
	r.roll(waiting[0])
	// Who changes a proxy itself does not wait, as ever.
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, waiting[1]), `{"spec":{"podTemplate":{"annotations":{"a":"b"}}}}`)
	r.withImage(bad, 3)
	r.fails(waiting[1])
	r.fails(failing[1])

	// Another image has not failed yet.
	r.patch(class, `{"spec":{"image":%q}}`, good)
	r.withImage(good, 2)
}

// A Deployment says from which image and podTemplate of the class its pods are. Where
// the class says something new that the proxy has its own mind about, they are of the
// former, and no proof that the new one works.
func TestPodsThatStayAreNoProofOfWhatTheClassSays(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	class := r.class("gold", func(c *wsproxyv1alpha1.WebSocketProxyClass) {
		c.Spec.PodTemplate.NodeSelector = map[string]string{"zone": "a"}
	})
	r.proxy("echo", func(s *wsproxyv1alpha1.WebSocketProxySpec) {
		s.ClassName = "gold"
		s.PodTemplate.NodeSelector = map[string]string{"zone": "mine"}
	})
	r.roll("echo")
	before := get[appsv1.Deployment](r, "echo-wsproxy")
	r.patch(class, `{"spec":{"settings":{"maxRetries":7},"podTemplate":{"nodeSelector":{"zone":"b"}}}}`)
	r.maxRetries("echo", 7, "Class/gold")
	after := get[appsv1.Deployment](r, "echo-wsproxy")
	if got, want := after.Annotations, before.Annotations; !maps.Equal(got, want) || after.Generation != before.Generation {
		t.Errorf("the annotations of generation %d are %v, of %d %v", before.Generation, want, after.Generation, got)
	}
}

// scale sets the number of replicas through the scale subresource, as an autoscaler
// does.
func (r *room) scale(proxy string, n int32) {
	r.Helper()
	p, scale := get[wsproxyv1alpha1.WebSocketProxy](r, proxy), &autoscalingv1.Scale{}
	scale.Spec.Replicas = n
	if err := r.api.SubResource("scale").Update(r.Context(), p, client.WithSubResourceBody(scale), client.FieldOwner("autoscaler")); err != nil {
		r.Fatal(err)
	}
}

func TestAChangeOfAProxyReplacesItsPodsAtOnce(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace, func(o *controllers.Options) { o.MaxConcurrentProxies = 1 })
	for _, name := range []string{"one", "two"} {
		r.proxy(name)
		r.roll(name)
		r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, name), `{"spec":{"podTemplate":{"annotations":{"a":"b"}}}}`)
		r.eventually(func() error {
			if d := get[appsv1.Deployment](r, name+"-wsproxy"); d.Spec.Template.Annotations["a"] != "b" {
				return fmt.Errorf("annotations are %v", d.Spec.Template.Annotations)
			}
			return nil
		})
		r.begins(name)
	}
	c := r.condition("two", wsproxyv1alpha1.ConditionReady, metav1.ConditionFalse, wsproxyv1alpha1.ReasonProgressing)
	if strings.Contains(c.Message, "waits") {
		t.Errorf("two is not ready because %q", c.Message)
	}
}

// What is in the pods' configuration, or in the Service, replaces no pod.
func TestOnlyWhatKubernetesMustChangeReplacesPods(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.proxy("echo")
	r.roll("echo")
	before := get[appsv1.Deployment](r, "echo-wsproxy").Spec.Template
	cert, key := certificate(t)
	r.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "chat-tls"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key}})
	for _, patch := range []string{
		`{"settings":{"connectionLostTimeout":7,"reuseAddr":false,"connectTimeout":7,"maxRetries":7,"retryDelay":7,"autoReconnect":true,"autoReconnectMaxRetries":7,"autoReconnectRetryDelay":7}}`,
		`{"limits":{"maxConnections":7,"maxConnectionsPerClient":7,"maxMessageBytes":7,"messagesPerSecond":7,"maxConnectionAgeSeconds":7}}`,
		`{"reconnect":{"bufferBytes":7,"replayMessages":7},"drain":{"timeoutSeconds":3600}}`,
		`{"listen":{"port":8080,"tls":{"secretName":"chat-tls"},"paths":["/a"],"allowedOrigins":["https://a"],"trustedProxies":["10.0.0.0/8"]}}`,
		`{"upstream":{"url":"ws://other.example"},"service":{"type":"NodePort","annotations":{"a":"b"}},"replicas":3}`,
	} {
		r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":%s}`, patch)
		r.condition("echo", wsproxyv1alpha1.ConditionAccepted, metav1.ConditionTrue, wsproxyv1alpha1.ReasonAccepted)
		r.condition("echo", wsproxyv1alpha1.ConditionResolvedRefs, metav1.ConditionTrue, wsproxyv1alpha1.ReasonResolved)
		if after := get[appsv1.Deployment](r, "echo-wsproxy").Spec.Template; after.String() != before.String() {
			t.Errorf("%s changes the pods:\n%v\nwas\n%v", patch, after, before)
		}
	}
}
