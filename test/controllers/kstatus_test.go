// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// kstatus is what Flux and others make of a proxy, who know nothing of its kind.
func (r *room) kstatus(proxy string) (*unstructured.Unstructured, *status.Result) {
	r.Helper()
	return r.kstatusOf(wsproxyv1alpha1.GroupVersion.WithKind("WebSocketProxy"), proxy)
}

func (r *room) kstatusOf(kind schema.GroupVersionKind, name string) (*unstructured.Unstructured, *status.Result) {
	r.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kind)
	key := client.ObjectKey{Namespace: r.namespace, Name: name}
	if kind.Kind == "WebSocketProxyClass" {
		key.Namespace = ""
	}
	if err := r.api.Get(r.Context(), key, u); err != nil {
		r.Fatal(err)
	}
	result, err := status.Compute(u)
	if err != nil {
		r.Fatal(err)
	}
	return u, result
}

// is waits until kstatus says so of a proxy with that reason of Ready, and Argo CD the
// same, and every condition speaks of the generation that there is.
func (r *room) is(proxy string, want status.Status, ready string) {
	r.Helper()
	r.eventually(func() error {
		u, result := r.kstatus(proxy)
		p := get[wsproxyv1alpha1.WebSocketProxy](r, proxy)
		if p.ResourceVersion != u.GetResourceVersion() {
			return fmt.Errorf("%s is being changed", proxy)
		}
		reason := ""
		for _, c := range p.Status.Conditions {
			if c.Type == wsproxyv1alpha1.ConditionReady {
				reason = c.Reason
			}
			// A deletion counts as a change of the spec, and nobody observes it.
			if c.ObservedGeneration != p.Generation && c.Reason != wsproxyv1alpha1.ReasonPending && p.DeletionTimestamp == nil {
				return fmt.Errorf("condition %s speaks of generation %d, there is %d", c.Type, c.ObservedGeneration, p.Generation)
			}
			if c.Reason == "" || c.Message == "" {
				return fmt.Errorf("condition %s has reason %q and message %q", c.Type, c.Reason, c.Message)
			}
		}
		if result.Status != want || reason != ready {
			return fmt.Errorf("kstatus says %s (%s), Ready is %q; want %s and %q", result.Status, result.Message, reason, want, ready)
		}
		if wanted, asked := healthOf[want]; asked {
			if says, message := health(r.T, u); says != wanted || message == "" {
				r.Errorf("where kstatus says %s, Argo CD says %s (%s)", want, says, message)
			}
		}
		return nil
	})
}

// kubectl runs kubectl in the room and returns all that it prints.
func (r *room) kubectl(stdin string, arguments ...string) (string, error) {
	r.Helper()
	command := exec.CommandContext(r.Context(), filepath.Join(server.assets, "kubectl"),
		append([]string{"--kubeconfig", server.kubeconfig, "--namespace", r.namespace}, arguments...)...)
	command.Stdin = strings.NewReader(stdin)
	output, err := command.CombinedOutput()
	return string(output), err
}

// waited fails unless `kubectl wait` agrees that a proxy is ready, or that it is
// not.
func (r *room) waited(proxy string, ready bool) {
	r.Helper()
	patience := "--timeout=30s"
	if !ready {
		patience = "--timeout=0" // Looks once.
	}
	if output, err := r.kubectl("", "wait", "wsp/"+proxy, "--for=condition=Ready", patience); (err == nil) != ready {
		r.Errorf("kubectl wait: %v\n%s", err, output)
	}
}

func TestToolsThatKnowNothingOfProxiesSeeTheirState(t *testing.T) {
	r := newRoom(t)
	// New, and nobody has looked at it.
	r.proxy("echo", func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.Replicas = new(int32(1)) })
	r.is("echo", status.InProgressStatus, wsproxyv1alpha1.ReasonPending)
	r.waited("echo", false)

	// Its pods are starting.
	startOperator(t, r.namespace)
	r.is("echo", status.InProgressStatus, wsproxyv1alpha1.ReasonProgressing)
	r.waited("echo", false)
	exists[corev1.Secret](r, "echo-wsproxy")
	r.pod("echo", "echo-0")
	r.roll("echo")
	r.is("echo", status.CurrentStatus, wsproxyv1alpha1.ReasonReady)
	r.waited("echo", true)
	// So is what it became, as far as there is no controller of it in a cluster.
	for _, o := range []client.Object{&corev1.ServiceAccount{}, &corev1.Secret{}, &corev1.ConfigMap{}, &corev1.Service{}, &networkingv1.NetworkPolicy{}} {
		kind, err := r.api.GroupVersionKindFor(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, result := r.kstatusOf(kind, "echo-wsproxy"); result.Status != status.CurrentStatus {
			t.Errorf("kstatus says that the %s is %s: %s", kind.Kind, result.Status, result.Message)
		}
	}

	// Its pods are replaced.
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"podTemplate":{"annotations":{"a":"b"}}}}`)
	r.is("echo", status.InProgressStatus, wsproxyv1alpha1.ReasonProgressing)
	r.begins("echo")
	r.is("echo", status.InProgressStatus, wsproxyv1alpha1.ReasonProgressing)
	// Who waits for it decides for how long.
	r.fails("echo")
	r.is("echo", status.InProgressStatus, wsproxyv1alpha1.ReasonProgressing)
	r.waited("echo", false)
	r.roll("echo")
	r.patchStatus(get[appsv1.Deployment](r, "echo-wsproxy"), `{"status":{"conditions":null}}`)
	r.is("echo", status.CurrentStatus, wsproxyv1alpha1.ReasonReady)

	// It refers to what is not there, which may be on its way.
	for _, wrong := range []struct{ patch, back, reason string }{
		{`{"className":"tin"}`, `{"className":null}`, wsproxyv1alpha1.ReasonNotAccepted},
		{`{"upstream":{"url":null,"serviceRef":{"name":"nobody","port":80}}}`, `{"upstream":{"url":"ws://backend.example","serviceRef":null}}`, wsproxyv1alpha1.ReasonRefsPending},
		{`{"listen":{"tls":{"secretName":"nobody"}}}`, `{"listen":{"tls":null}}`, wsproxyv1alpha1.ReasonRefsPending},
	} {
		r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":%s}`, wrong.patch)
		r.is("echo", status.InProgressStatus, wrong.reason)
		r.waited("echo", false)
		r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":%s}`, wrong.back)
		r.is("echo", status.CurrentStatus, wsproxyv1alpha1.ReasonReady)
	}

	// Only a change of the spec helps.
	r.class("strict", func(c *wsproxyv1alpha1.WebSocketProxyClass) { c.Spec.AllowedOverrides.NodeSelector = new(false) })
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"className":"strict","podTemplate":{"nodeSelector":{"zone":"a"}}}}`)
	r.is("echo", status.FailedStatus, wsproxyv1alpha1.ReasonNotAccepted)
	r.waited("echo", false)
	if output, err := r.kubectl("", "wait", "wsp/echo", "--for=condition=Stalled", "--timeout=30s"); err != nil {
		t.Errorf("kubectl wait: %v\n%s", err, output)
	}
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"podTemplate":{"nodeSelector":null}}}`)
	r.condition("echo", wsproxyv1alpha1.ConditionAccepted, metav1.ConditionTrue, wsproxyv1alpha1.ReasonAccepted)
	r.roll("echo") // The annotations of the Deployment changed.
	r.is("echo", status.CurrentStatus, wsproxyv1alpha1.ReasonReady)

	// A class is ready as it is, with and without a proxy.
	r.class("unused", func(*wsproxyv1alpha1.WebSocketProxyClass) {})
	for _, name := range []string{"strict", "unused"} {
		class, result := r.kstatusOf(wsproxyv1alpha1.GroupVersion.WithKind("WebSocketProxyClass"), name)
		if says, _ := health(t, class); result.Status != status.CurrentStatus || says != healthOf[status.CurrentStatus] {
			t.Errorf("the class %s is %s (%s), and by Argo CD %s", name, result.Status, result.Message, says)
		}
	}

	// An object in its way is the user's.
	r.create(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "blocked-wsproxy"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}})
	r.proxy("blocked")
	r.is("blocked", status.InProgressStatus, wsproxyv1alpha1.ReasonApplyFailed)

	// It is being deleted, and waits for what belongs to it.
	p := get[wsproxyv1alpha1.WebSocketProxy](r, "echo")
	if err := r.api.Delete(t.Context(), p, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		t.Fatal(err)
	}
	r.is("echo", status.TerminatingStatus, wsproxyv1alpha1.ReasonReady)
	t.Cleanup(func() {
		// There is no garbage collector that would end it.
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
		if err := r.api.Patch(context.WithoutCancel(t.Context()), p, patch); err != nil {
			t.Error(err)
		}
	})
	// Nothing is written for it any more, or the garbage collector would never be
	// done.
	if err := r.api.Delete(t.Context(), get[appsv1.Deployment](r, "echo-wsproxy")); err != nil {
		t.Fatal(err)
	}
	r.missing(&appsv1.Deployment{}, "echo-wsproxy")
}
