// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"errors"
	"math"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/push"
)

// deployed is a Deployment of two pods that are all as they should be.
func deployed(change func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{}
	d.Generation = 3
	d.Spec.Replicas = new(int32(2))
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 3, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2}
	change(d)
	return d
}

func as(*appsv1.Deployment) {}

// pods returns ready pods with what the pusher knows of them.
func pods(known ...push.Pod) []observedPod {
	var all []observedPod
	for i, k := range known {
		all = append(all, observedPod{name: string(rune('a' + i)), ready: true, target: push.Target{Address: "x"}, pushed: k})
	}
	return all
}

func TestConditions(t *testing.T) {
	acked, silent := push.Pod{Acknowledged: true}, push.Pod{}
	refused := push.Pod{Problem: &push.Refusal{Message: "no"}}
	snapshot := &dataplanev1alpha1.Snapshot{Version: 7}
	// Each expectation is status and reason, "-" where the condition is absent.
	type want struct{ accepted, resolved, programmed, ready, stalled string }
	const fine, resolved = "True Accepted", "True Resolved"
	for name, c := range map[string]struct {
		work     work
		replicas int32
		want     want
	}{
		"all is well": {work{snapshot: snapshot, pods: pods(acked, acked), deployment: deployed(as)}, 2,
			want{fine, resolved, "True Programmed", "True Ready", "-"}},
		"nothing is there yet": {work{snapshot: snapshot}, 2,
			want{fine, resolved, "False NoReadyPods", "False Progressing", "-"}},
		"before the certificate authority": {work{}, 2,
			want{fine, resolved, "False NotAttempted", "False Progressing", "-"}},
		"one pod has not answered": {work{snapshot: snapshot, pods: pods(acked, silent), deployment: deployed(as)}, 2,
			want{fine, resolved, "False PodsLagging", "False Progressing", "-"}},
		"one pod refuses": {work{snapshot: snapshot, pods: pods(acked, refused), deployment: deployed(as)}, 2,
			want{fine, resolved, "False PodsLagging", "False Progressing", "-"}},
		"a pod that is not ready does not count": {
			work{snapshot: snapshot, pods: append(pods(acked, acked), observedPod{name: "z", pushed: refused}), deployment: deployed(as)}, 2,
			want{fine, resolved, "True Programmed", "True Ready", "-"}},
		"the Deployment was changed a moment ago": {work{snapshot: snapshot, pods: pods(acked, acked), deployment: deployed(as), generation: 4}, 2,
			want{fine, resolved, "True Programmed", "False Progressing", "-"}},
		"the Deployment's controller has not seen it": {
			work{snapshot: snapshot, pods: pods(acked), deployment: deployed(func(d *appsv1.Deployment) { d.Status.ObservedGeneration = 2 })}, 2,
			want{fine, resolved, "True Programmed", "False Progressing", "-"}},
		"more pods are wanted than the Deployment says": {work{snapshot: snapshot, pods: pods(acked, acked), deployment: deployed(as)}, 3,
			want{fine, resolved, "True Programmed", "False Progressing", "-"}},
		"in the middle of a rollout": {
			work{snapshot: snapshot, pods: pods(acked, acked), deployment: deployed(func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 1 })}, 2,
			want{fine, resolved, "True Programmed", "False Progressing", "-"}},
		"an old pod is left": {
			work{snapshot: snapshot, pods: pods(acked, acked), deployment: deployed(func(d *appsv1.Deployment) { d.Status.Replicas = 3 })}, 2,
			want{fine, resolved, "True Programmed", "False Progressing", "-"}},
		"a pod is down": {
			work{snapshot: snapshot, pods: pods(acked), deployment: deployed(func(d *appsv1.Deployment) { d.Status.ReadyReplicas = 1 })}, 2,
			want{fine, resolved, "True Programmed", "False Progressing", "-"}},
		"a pod is down, and the Deployment does not say so yet": {work{snapshot: snapshot, pods: pods(acked), deployment: deployed(as)}, 2,
			want{fine, resolved, "True Programmed", "False Progressing", "-"}},
		"other proxies failed with the same image": {
			work{snapshot: snapshot, pods: pods(acked, acked), deployment: deployed(as), waiting: &verdict{"RolloutStopped", "no"}}, 2,
			want{fine, resolved, "True Programmed", "False RolloutStopped", "-"}},
		"scaled to zero": {
			work{snapshot: snapshot, deployment: deployed(func(d *appsv1.Deployment) {
				d.Spec.Replicas = new(int32(0))
				d.Status = appsv1.DeploymentStatus{ObservedGeneration: 3}
			})}, 0, want{fine, resolved, "False NoReadyPods", "True ScaledToZero", "-"}},
		"on the way to zero": {work{snapshot: snapshot, pods: pods(acked), deployment: deployed(as)}, 0,
			want{fine, resolved, "True Programmed", "False Progressing", "-"}},
		"no class": {
			work{rejection: &verdict{"ClassNotFound", "no"}, snapshot: snapshot, pods: pods(acked, acked), deployment: deployed(as)}, 2,
			want{"False ClassNotFound", resolved, "False NotAttempted", "False NotAccepted", "-"}},
		"an override that is not allowed": {work{rejection: &verdict{"OverrideNotAllowed", "no"}}, 2,
			want{"False OverrideNotAllowed", resolved, "False NotAttempted", "False NotAccepted", "True OverrideNotAllowed"}},
		"a spec that is invalid": {work{rejection: &verdict{"InvalidSpec", "no"}}, 2,
			want{"False InvalidSpec", resolved, "False NotAttempted", "False NotAccepted", "True InvalidSpec"}},
		"a Service is missing, pods serve": {
			work{unresolved: []verdict{{"ServiceNotFound", "no"}}, snapshot: snapshot, pods: pods(acked, acked), deployment: deployed(as)}, 2,
			want{fine, "False ServiceNotFound", "True Programmed", "False ReferencesNotResolved", "-"}},
		"a certificate was never there": {
			work{unresolved: []verdict{{"SecretNotFound", "no"}}, unusable: true}, 2,
			want{fine, "False SecretNotFound", "False NotAttempted", "False ReferencesNotResolved", "-"}},
		"an object is somebody else's": {
			work{blocked: &verdict{"ApplyFailed", "no"}, snapshot: snapshot, pods: pods(acked, acked), deployment: deployed(as)}, 2,
			want{fine, resolved, "False ApplyFailed", "False ApplyFailed", "-"}},
		"the API server fails": {
			work{failure: errors.New("no"), snapshot: snapshot, pods: pods(acked, acked), deployment: deployed(as)}, 2,
			want{fine, resolved, "False ApplyFailed", "False ApplyFailed", "-"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.work.proxy = &wsproxyv1alpha1.WebSocketProxy{}
			c.work.proxy.Spec.Replicas = &c.replicas
			found := conditions(&c.work)
			text := func(kind string) string {
				got := meta.FindStatusCondition(found, kind)
				if got == nil {
					return "-"
				}
				if got.Message == "" {
					t.Errorf("%s says nothing", kind)
				}
				return string(got.Status) + " " + got.Reason
			}
			got := want{text(wsproxyv1alpha1.ConditionAccepted), text(wsproxyv1alpha1.ConditionResolvedRefs),
				text(wsproxyv1alpha1.ConditionProgrammed), text(wsproxyv1alpha1.ConditionReady), text(wsproxyv1alpha1.ConditionStalled)}
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestWhatKubernetesHasGivenUpOnIsSaid(t *testing.T) {
	w := &work{proxy: &wsproxyv1alpha1.WebSocketProxy{}, deployment: deployed(func(d *appsv1.Deployment) {
		d.Status.UpdatedReplicas = 1
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: "False", Message: `ReplicaSet "a" has timed out progressing.`}}
	})}
	const want = `1 of 2 pods are of the current template; Kubernetes does not expect more: ReplicaSet "a" has timed out progressing.`
	if got := unfinished(w); got == nil || got.message != want {
		t.Errorf("got %+v", got)
	}
}

// A Deployment counts its pods a moment after they are ready. The number of ready
// pods and what Programmed says of them must not contradict each other meanwhile.
func TestPodsAreCountedAsTheConditionsSeeThem(t *testing.T) {
	w := &work{
		proxy: &wsproxyv1alpha1.WebSocketProxy{}, snapshot: &dataplanev1alpha1.Snapshot{Version: 7},
		unresolved: []verdict{{"ServiceNotFound", "no"}},
		pods:       pods(push.Pod{Acknowledged: true}, push.Pod{Acknowledged: true}),
		deployment: deployed(func(d *appsv1.Deployment) {
			d.Status = appsv1.DeploymentStatus{ObservedGeneration: 3, Replicas: 2, UpdatedReplicas: 2}
		}),
		observed: true,
	}
	w.pods = append(w.pods,
		observedPod{name: "starting"},
		observedPod{name: "drains", leaving: true, target: push.Target{Address: "x"}, pushed: push.Pod{Acknowledged: true}})
	status := &wsproxyv1alpha1.WebSocketProxyStatus{}
	fill(status, w)
	programmed := meta.IsStatusConditionTrue(status.Conditions, wsproxyv1alpha1.ConditionProgrammed)
	if status.ReadyReplicas != 2 || status.Replicas != 3 || !programmed {
		t.Errorf("%d of %d pods are ready, Programmed is %v", status.ReadyReplicas, status.Replicas, programmed)
	}
	if want := (wsproxyv1alpha1.DataplaneStatus{Pods: 2, Programmed: 2, Draining: 1, ConfigVersion: "7"}); status.Dataplane != want {
		t.Errorf("got %+v, want %+v", status.Dataplane, want)
	}
	w.pods = w.pods[2:]
	fill(status, w)
	if c := meta.FindStatusCondition(status.Conditions, wsproxyv1alpha1.ConditionProgrammed); status.ReadyReplicas != 0 || c.Reason != wsproxyv1alpha1.ReasonNoReadyPods {
		t.Errorf("%d pods are ready, Programmed is %+v", status.ReadyReplicas, c)
	}
}

// A phase that fails before the pods are looked at says nothing of them: they serve
// as before.
func TestPodsThatWereNotLookedAtAreNotGone(t *testing.T) {
	want := wsproxyv1alpha1.WebSocketProxyStatus{
		Replicas: 3, ReadyReplicas: 2, Connections: 7,
		Dataplane: wsproxyv1alpha1.DataplaneStatus{Pods: 3, Programmed: 2, Draining: 1, ConfigVersion: "7"},
	}
	got := want
	w := &work{proxy: &wsproxyv1alpha1.WebSocketProxy{}, now: time.Now(), failure: errors.New("quota exceeded")}
	fill(&got, w)
	(&Reconciler{}).count(&got, w)
	if got.Replicas != want.Replicas || got.ReadyReplicas != want.ReadyReplicas || got.Connections != want.Connections || got.Dataplane != want.Dataplane {
		t.Errorf("%d of %d pods are ready with %d connections, %+v", got.ReadyReplicas, got.Replicas, got.Connections, got.Dataplane)
	}
	if c := meta.FindStatusCondition(got.Conditions, wsproxyv1alpha1.ConditionProgrammed); c.Reason != wsproxyv1alpha1.ReasonApplyFailed {
		t.Errorf("Programmed is %+v", c)
	}
}

func TestNoPodMakesTheSumOfConnectionsAbsurd(t *testing.T) {
	w := &work{now: time.Now(), observed: true, pods: pods(push.Pod{Connections: math.MaxInt64}, push.Pod{Connections: math.MaxInt64}, push.Pod{Connections: -7}, push.Pod{Connections: 5})}
	status := &wsproxyv1alpha1.WebSocketProxyStatus{}
	if (&Reconciler{}).count(status, w); status.Connections != 2*maxConnections+5 {
		t.Errorf("%d connections", status.Connections)
	}
}

func TestAFewLaggingPodsAreNamed(t *testing.T) {
	refused := push.Pod{Problem: &push.Refusal{Message: "no"}}
	w := &work{proxy: &wsproxyv1alpha1.WebSocketProxy{}, snapshot: &dataplanev1alpha1.Snapshot{},
		pods: pods(refused, push.Pod{}, refused, refused, refused)}
	c := programmedCondition(w)
	if want := "pod a: no; pod b has not answered yet; pod c: no and 2 more"; c.Message != want || c.Status != metav1.ConditionFalse {
		t.Errorf("got %q", c.Message)
	}
}
