// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
)

func TestAListSaysWhatItLacks(t *testing.T) {
	r := newRoom(t, podTimeout(200*time.Millisecond))
	want := sorted(r.pod("shop", "echo", "echo-a").connect(30), r.pod("shop", "echo", "echo-b").connect(20))
	silent := r.silentPod("shop", "echo", "echo-silent")
	for _, query := range []string{"", "?limit=100", "?limit=50", "?labelSelector=wsproxy.io/proxy%3Decho"} {
		a := r.get(path("shop") + query)
		l := a.list()
		if got := namesOf(l); !slices.Equal(got, want) {
			t.Errorf("%q lists %d, want %d", query, len(got), len(want))
		}
		if got := l.Annotations[connectionsv1alpha1.AnnotationUnansweredPods]; got != "shop/echo-silent" {
			t.Errorf("%q: annotation %q", query, got)
		}
		if warning := a.header.Get("Warning"); !strings.HasPrefix(warning, "299 ") || !strings.Contains(warning, "shop/echo-silent") {
			t.Errorf("%q: warning %q", query, warning)
		}
	}
	// A list that does not need the silent pod lacks nothing.
	a := r.get(path("shop") + "?labelSelector=wsproxy.io/pod%3Decho-a")
	if l := a.list(); len(l.Items) != 30 || l.Annotations != nil || a.header.Get("Warning") != "" {
		t.Errorf("lists %d, %v, %q", len(l.Items), l.Annotations, a.header.Get("Warning"))
	}
	name := string(silent.id) + "-00000000"
	for _, c := range []call{
		{path: path("shop", name)},
		{path: path("shop") + "?fieldSelector=metadata.name%3D" + name},
		// It ends the others and says that it could not end all.
		{method: http.MethodDelete, path: path("shop")},
	} {
		a := r.call(c)
		if s := a.refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, ""); !strings.Contains(s.Message, "shop/echo-silent") || a.header.Get("Retry-After") == "" {
			t.Errorf("%s %s: %q, Retry-After %q", c.method, c.path, s.Message, a.header.Get("Retry-After"))
		}
	}
	for _, c := range []call{
		{method: http.MethodDelete, path: path("shop", name)},
		{method: http.MethodPost, path: path("shop", name, "disconnect"), body: "{}"},
	} {
		if a := r.call(c); a.code != http.StatusServiceUnavailable && a.code != http.StatusGatewayTimeout || !strings.Contains(string(a.body), "shop/echo-silent") {
			t.Errorf("%s %s: %d: %s", c.method, c.path, a.code, a.body)
		}
	}
	if l := r.get(path("shop") + "?fieldSelector=status.phase%3DClosing").list(); len(l.Items) != 50 {
		t.Errorf("%d of 50 are closing", len(l.Items))
	}
}

// Pods that are first in order and silent hold up those behind them no longer
// than their timeout, all together.
func TestManySilentPods(t *testing.T) {
	const timeout = 5 * time.Second
	r := newRoom(t, podTimeout(timeout))
	for i := range 250 {
		r.silentPod("shop", "echo", fmt.Sprintf("silent-%03d", i))
	}
	var want []string
	for i := range 10 {
		want = sorted(want, r.pod("shop", "echo", fmt.Sprintf("echo-%d", i)).connect(10))
	}
	for _, query := range []string{"", "?limit=500"} {
		begin := time.Now()
		a := r.get(path("shop") + query)
		l := a.list()
		t.Logf("%q took %v", query, time.Since(begin))
		if got := namesOf(l); !slices.Equal(got, want) {
			t.Errorf("%q lists %d of %d", query, len(got), len(want))
		}
		if n := len(strings.Split(l.Annotations[connectionsv1alpha1.AnnotationUnansweredPods], ",")); n != 250 {
			t.Errorf("annotation names %d", n)
		}
		if w := a.header.Get("Warning"); !strings.Contains(w, "250 data-plane pods did not answer") || !strings.Contains(w, "and 245 more") {
			t.Errorf("warning %q", w)
		}
		time.Sleep(time.Second) // Then they are asked again, instead of remembered.
	}
	// Discovery asks no pod: it does not take the time of a single timeout.
	for _, path := range []string{"/apis", "/apis/connections.wsproxy.io", "/apis/connections.wsproxy.io/v1alpha1", "/openapi/v3", "/readyz/pods-known"} {
		begin := time.Now()
		if a := r.get(path); a.code != http.StatusOK {
			t.Errorf("%s: %d: %s", path, a.code, a.body)
		}
		if took := time.Since(begin); took > 10*timeout {
			t.Errorf("%s took %v", path, took)
		}
	}
}

func TestAPodThatIsGoneIsNotAsked(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	names := p.connect(5)
	drains := r.pod("shop", "echo", "echo-b")
	inDraining := drains.connect(5)
	r.update(drains, func(o *corev1.Pod) {
		o.DeletionTimestamp = new(metav1.Now())
		o.Finalizers = []string{"example.com/keeps"}
	})
	if l := r.get(path("shop")).list(); len(l.Items) != 10 {
		t.Errorf("lists %d of 10 while a pod drains", len(l.Items))
	}
	r.get(path("shop", inDraining[0])).object(http.StatusOK)

	p.stop()
	r.update(p, func(o *corev1.Pod) {
		o.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	})
	r.until("the pod is forgotten", func() bool { return !r.knows(p) })
	a := r.get(path("shop"))
	if l := a.list(); len(l.Items) != 5 || a.header.Get("Warning") != "" {
		t.Errorf("lists %d, warning %q", len(l.Items), a.header.Get("Warning"))
	}
	r.get(path("shop", names[0])).refusal(http.StatusNotFound, metav1.StatusReasonNotFound, "")
	r.remove(drains)
	r.get(path("shop", inDraining[0])).refusal(http.StatusNotFound, metav1.StatusReasonNotFound, "")
	if l := r.get(path("shop")).list(); len(l.Items) != 0 || l.Items == nil {
		t.Errorf("lists %v", l.Items)
	}
}

// A pod that nobody speaks for any more is unreachable, not empty.
func TestAPodThatRefusesConnectionsIsReported(t *testing.T) {
	r := newRoom(t, podTimeout(200*time.Millisecond))
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	p.stop()
	if a := r.get(path("shop")); a.header.Get("Warning") == "" {
		t.Errorf("no warning: %s", a.body)
	}
	r.get(path("shop", name)).refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
}

// Pods that were there and refuse connections now are not waited for.
func TestManyPodsThatRefuseConnections(t *testing.T) {
	const timeout = 20 * time.Second
	r := newRoom(t, podTimeout(timeout), func(c *apiserver.Config) { c.Fleet.Youth = time.Nanosecond })
	for i := range 250 {
		r.create(newPod("shop", "echo", fmt.Sprintf("gone-%03d", i), someUID()))
	}
	want := r.pod("shop", "echo", "echo-a").connect(10)
	r.until("all are known", func() bool { return len(r.server.Fleet.Pods(func(*fleet.Pod) bool { return true })) == 251 })
	begin := time.Now()
	a := r.get(path("shop"))
	took := time.Since(begin)
	t.Logf("took %v", took)
	if got := namesOf(a.list()); !slices.Equal(got, want) || took > timeout {
		t.Errorf("lists %d after %v", len(got), took)
	}
	if w := a.header.Get("Warning"); !strings.Contains(w, "250 data-plane pods did not answer") {
		t.Errorf("warning %q", w)
	}
}

func TestNamesOfUnknownPodsCostFewLists(t *testing.T) {
	r := newRoom(t)
	r.kube.ClearActions()
	done := make(chan int, 50)
	for i := range cap(done) {
		go func() {
			done <- r.get(path("shop", fmt.Sprintf("k5dfau6e5kgemg63i-%08d", i))).code
		}()
	}
	for range cap(done) {
		if code := <-done; code != http.StatusNotFound {
			t.Errorf("%d", code)
		}
	}
	if n := r.lists("shop"); n < 1 || n > 25 {
		t.Errorf("50 names cost %d lists of pods", n)
	}
}

// The first request for a connection may be quicker than the news of its pod.
func TestAPodThatTheWatchDoesNotKnowYet(t *testing.T) {
	r := newRoom(t)
	young := newPod("shop", "echo", "echo-a", someUID())
	young.serve(t, r.authority, r.port)
	name := young.connect(1)[0]
	r.late.Lock()
	r.create(young)
	a := r.get(path("shop", name))
	a.refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	answer := make(chan int, 1)
	go func() { answer <- r.get(path("shop", name)).code }()
	r.until("somebody looks again", func() bool { return r.lists("shop") >= 2 })
	r.late.Unlock()
	if code := <-answer; code != http.StatusOK {
		t.Errorf("%d", code)
	}
}
