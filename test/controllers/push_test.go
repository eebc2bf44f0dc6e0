// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// retries waits until a pod has that number of retries in force.
func (p *pod) retries(n int32) {
	p.room.Helper()
	p.has(func(s *dataplanev1alpha1.Snapshot) bool { return s.GetSettings().GetMaxRetries() == n })
}

func TestASettingsChangeReachesEveryPodAndRollsNone(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	pods := r.serving("echo", 2)
	before := r.versions("echo")

	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":7}}}`)
	r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionTrue, wsproxyv1alpha1.ReasonProgrammed)
	for _, p := range pods {
		p.retries(7)
		if n := p.pushes(); n != 2 {
			t.Errorf("pod %s was pushed to %d times, want 2", p.object.Name, n)
		}
	}
	r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonReady)
	after := r.versions("echo")
	changed := map[string]bool{"*v1.ConfigMap": true, "*v1alpha1.WebSocketProxy": true}
	for kind, version := range after {
		if changed[kind] == (version == before[kind]) {
			t.Errorf("%s: resourceVersion %s, was %s", kind, version, before[kind])
		}
	}
	proxy := get[wsproxyv1alpha1.WebSocketProxy](r, "echo")
	if got := proxy.Status.EffectiveSettings.MaxRetries; got.Value != 7 || got.Source != wsproxyv1alpha1.SourceProxy {
		t.Errorf("effective maxRetries is %+v", got)
	}
	if proxy.Status.Dataplane.ConfigVersion != after["*v1.ConfigMap"] {
		t.Errorf("configVersion is %s, want %s", proxy.Status.Dataplane.ConfigVersion, after["*v1.ConfigMap"])
	}
}

func TestTheSameContentIsNeverPushedTwice(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	p := r.serving("echo", 1)[0]

	// Somebody raises the resourceVersion without changing what is in it.
	config := get[corev1.ConfigMap](r, "echo-wsproxy")
	r.patch(config, `{"metadata":{"annotations":{"somebody":"was here"}}}`)
	r.eventually(func() error {
		got := get[wsproxyv1alpha1.WebSocketProxy](r, "echo").Status.Dataplane.ConfigVersion
		if got != config.ResourceVersion {
			return fmt.Errorf("configVersion is %s, want %s", got, config.ResourceVersion)
		}
		return nil
	})
	// The pod looks the same to the operator after each of these as well.
	p.report(false)
	p.report(true)

	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":7}}}`)
	p.retries(7)
	if n := p.pushes(); n != 2 {
		t.Errorf("two contents were pushed %d times", n)
	}
}

func TestAPodThatAppearsIsPushedToBeforeItIsReady(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.serving("echo", 1)
	late := r.pendingPod("echo", "late")
	late.report(false)
	late.serve()
	late.has(func(s *dataplanev1alpha1.Snapshot) bool { return s.GetVersion() > 0 })
	// It does not count for Programmed before it takes clients.
	r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionTrue, wsproxyv1alpha1.ReasonProgrammed)
}

func TestAPodThatComesBackIsPushedToAgain(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	p := r.serving("echo", 1)[0]
	// The process ends and starts again; nobody tells Kubernetes.
	p.server.Stop()
	p.serve()
	p.has(func(s *dataplanev1alpha1.Snapshot) bool { return s.GetVersion() > 0 })
	if n := p.pushes(); n != 2 {
		t.Errorf("two runs were pushed to %d times", n)
	}
}

func TestAPodThatWasCutOffIsNamedAndGetsTheLastOfWhatItMissed(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	pods := r.serving("echo", 2)
	off := pods[0]
	off.set(func() { off.keeps = true })
	off.server.Stop()
	for _, retries := range []int32{7, 8, 9} {
		r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":%d}}}`, retries)
		pods[1].retries(retries)
	}
	r.eventually(func() error {
		c := r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionFalse, wsproxyv1alpha1.ReasonPodsLagging)
		if !strings.HasPrefix(c.Message, "pod echo-0: ") || !strings.Contains(c.Message, "connection refused") || strings.Contains(c.Message, "echo-1") {
			return fmt.Errorf("message is %q", c.Message)
		}
		return nil
	})
	off.serve()
	off.retries(9)
	if n := off.pushes(); n != 2 {
		t.Errorf("it was pushed to %d times, want what it had and the last of what it missed", n)
	}
	r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionTrue, wsproxyv1alpha1.ReasonProgrammed)
}

func TestASlowPodDelaysNobody(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	pods := r.serving("echo", 3)
	slow := pods[0]
	answer := make(chan struct{})
	slow.set(func() { slow.hang = answer })

	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":7}}}`)
	pods[1].retries(7)
	pods[2].retries(7)
	r.eventually(func() error {
		c := r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionFalse, wsproxyv1alpha1.ReasonPodsLagging)
		if c.Message != "pod echo-0 has not answered yet" {
			return fmt.Errorf("message is %q", c.Message)
		}
		return nil
	})
	// What is wanted changes while the slow pod has not even answered.
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":8}}}`)
	pods[1].retries(8)
	close(answer)
	slow.retries(8)
	r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionTrue, wsproxyv1alpha1.ReasonProgrammed)
}

func TestWhyAPodRefusesIsSaid(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	pods := r.serving("echo", 2)
	pods[0].set(func() { pods[0].refuse = status.Error(codes.InvalidArgument, "listen.tls: listen.crt is missing") })
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":7}}}`)
	pods[1].retries(7)
	r.eventually(func() error {
		c := r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionFalse, wsproxyv1alpha1.ReasonPodsLagging)
		if c.Message != "pod echo-0: listen.tls: listen.crt is missing" {
			return fmt.Errorf("message is %q", c.Message)
		}
		return nil
	})
	pods[0].set(func() { pods[0].refuse = nil })
	pods[0].retries(7)
	r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonReady)
}

func TestAPodWithANewerVersionIsNotPushedBackwards(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	p := r.serving("echo", 1)[0]
	p.set(func() { p.inForce.Version = 1 << 62 })
	p.server.Stop()
	p.set(func() { p.keeps = true })
	p.serve()
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":7}}}`)
	r.eventually(func() error {
		c := r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionFalse, wsproxyv1alpha1.ReasonPodsLagging)
		if !strings.Contains(c.Message, "delete the pod") {
			return fmt.Errorf("message is %q", c.Message)
		}
		return nil
	})
	if n := p.pushes(); n != 1 {
		t.Errorf("pushed %d times", n)
	}
}

func TestAnOperatorThatComesBackChangesNothing(t *testing.T) {
	r := newRoom(t)
	first := startOperator(t, r.namespace)
	pods := r.serving("echo", 2, func(s *wsproxyv1alpha1.WebSocketProxySpec) {
		s.PodTemplate.Annotations = map[string]string{"a": "b"}
		s.Service.Annotations = map[string]string{"c": "d"}
	})
	first.stop()
	before := r.versions("echo")
	asked := map[*pod]int{}
	for _, p := range pods {
		p.set(func() { asked[p] = p.statuses })
	}

	second := startOperator(t, r.namespace)
	for _, p := range pods {
		r.eventually(func() error {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.statuses == asked[p] {
				return fmt.Errorf("pod %s was not asked yet", p.object.Name)
			}
			return nil
		})
	}
	// Stopping waits for the reconciliations that the answers led to.
	r.eventually(func() error { return second.counted("wsproxy_pushes_total", "skipped", 2) })
	second.stop()
	if after := r.versions("echo"); !maps.Equal(before, after) {
		t.Errorf("resourceVersions are %v, were %v", after, before)
	}
	for _, p := range pods {
		if n := p.pushes(); n != 1 {
			t.Errorf("pod %s was pushed to %d times", p.object.Name, n)
		}
	}
}

func TestConnectionsAreCounted(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.proxy("echo")
	exists[corev1.Secret](r, "echo-wsproxy")
	p := r.pendingPod("echo", "echo-a")
	p.connections = 42
	p.serve()
	p.report(true)
	r.eventually(func() error {
		if n := get[wsproxyv1alpha1.WebSocketProxy](r, "echo").Status.Connections; n != 42 {
			return fmt.Errorf("%d connections", n)
		}
		return nil
	})
}
