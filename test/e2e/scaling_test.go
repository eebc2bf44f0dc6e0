// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// An autoscaler takes pods away and brings new ones. Only those clients are moved that
// have to be.
func TestScalingMovesFewClients(t *testing.T) {
	r := newRoom(t, "e2e-scaling", 1)
	p := r.proxy("echo", nil)
	// No metrics are needed to tell that there are fewer pods than there must be.
	if err := r.Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: p.Name},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: wsproxyv1alpha1.GroupVersion.String(), Kind: "WebSocketProxy", Name: p.Name},
			MinReplicas:    new(int32(3)),
			MaxReplicas:    3,
		},
	}); err != nil {
		t.Fatal(err)
	}
	first := r.pods(p.Name)
	most, fewest := r.connectTo(&first[0], 60), r.connectTo(&first[1], 12)
	third := r.scaledOut(p, first)
	some := r.connectTo(third, 30)
	if out := mustKubectl(t, "", "-n", r.namespace, "get", "hpa", p.Name); !strings.Contains(out, "WebSocketProxy/echo") {
		t.Errorf("kubectl get hpa says\n%s", out)
	}

	t.Run("the pod with the fewest is taken away", func(t *testing.T) {
		r := r.in(t)
		r.costs(map[*corev1.Pod]int{&first[0]: 60, &first[1]: 12, third: 30})
		ended := endings{}
		ended.add(end{1012, "the proxy is going away"}, held(t, fewest)...)
		mustKubectl(t, "", "-n", r.namespace, "delete", "hpa", p.Name)
		mustKubectl(t, "", "-n", r.namespace, "scale", "wsp", p.Name, "--replicas=2")
		r.ends(fewest, ended)
		if names := podNames(r.pods(p.Name)); !slices.Equal(names, podNames([]corev1.Pod{first[0], *third})) {
			t.Errorf("the pods that stay are %v", names)
		}
		r.ends(most, nil)
		r.ends(some, nil)
	})
	t.Run("rebalance moves the surplus", func(t *testing.T) {
		r := r.in(t)
		eventually(t, time.Minute, "the drained pod to be gone", func(ctx context.Context) error {
			if err := r.Get(ctx, r.key(p.Name), p); err != nil {
				return err
			}
			if d := p.Status.Dataplane; d.Draining > 0 || p.Status.ReadyReplicas != 2 {
				return fmt.Errorf("%d pods are ready: %+v", p.Status.ReadyReplicas, d)
			}
			return nil
		})
		// 90 connections are 45 for each, and 10 % more are 50: of 20 that are moved, 10
		// come back.
		out := mustKubectl(t, "", "ws", "-n", r.namespace, "rebalance", p.Name, "--dry-run=server")
		for pod, want := range map[string]string{first[0].Name: "60 20 50", third.Name: "30 0 40"} {
			if !regexp.MustCompile(pod + ` +` + strings.ReplaceAll(want, " ", " +") + `\n`).MatchString(out) {
				t.Errorf("of %s it does not say %q:\n%s", pod, want, out)
			}
		}
		r.ends(most, nil)
		if out := mustKubectl(t, "", "ws", "-n", r.namespace, "rebalance", p.Name); !strings.HasSuffix(out, "20 of 20 connections closed\n") {
			t.Errorf("it says\n%s", out)
		}
		eventually(t, time.Minute, "20 clients to be told", func(context.Context) error {
			if open := most.Totals().Open; open != 40 {
				return fmt.Errorf("%d are open", open)
			}
			return nil
		})
		ended := endings{}
		for _, record := range most.Report().Records {
			if !record.Closed.IsZero() {
				ended.add(end{1012, "rebalance"}, record.ID)
			}
		}
		r.ends(most, ended)
		r.ends(some, nil)
	})
}

// scaledOut waits for a pod that was not there before, and is ready and programmed.
func (r *room) scaledOut(p *wsproxyv1alpha1.WebSocketProxy, before []corev1.Pod) *corev1.Pod {
	r.t.Helper()
	var found *corev1.Pod
	eventually(r.t, 2*time.Minute, "a third pod", func(ctx context.Context) error {
		if err := r.Get(ctx, r.key(p.Name), p); err != nil {
			return err
		}
		if p.Status.ReadyReplicas != 3 || p.Status.Dataplane.Programmed != 3 {
			return fmt.Errorf("of %d pods %d are ready, and %d programmed", p.Status.Replicas, p.Status.ReadyReplicas, p.Status.Dataplane.Programmed)
		}
		for _, pod := range r.pods(p.Name) {
			if !slices.Contains(podNames(before), pod.Name) {
				found = &pod
			}
		}
		if found == nil {
			return errors.New("no other pod is there")
		}
		return nil
	})
	return found
}

// costs waits until the deletion costs of pods are about what they have of connections.
func (r *room) costs(want map[*corev1.Pod]int) {
	r.t.Helper()
	// A pod is asked every 15 s, and its cost may be written every 30 s.
	eventually(r.t, 2*time.Minute, "the deletion costs", func(ctx context.Context) error {
		for of, connections := range want {
			pod := &corev1.Pod{}
			if err := r.Get(ctx, client.ObjectKeyFromObject(of), pod); err != nil {
				return err
			}
			cost, _ := strconv.Atoi(pod.Annotations[corev1.PodDeletionCost])
			if off := max(cost-connections, connections-cost); off > max(cost/4, 8) {
				return fmt.Errorf("pod %s has %d connections, and costs %d", pod.Name, connections, cost)
			}
		}
		return nil
	})
}

func podNames(pods []corev1.Pod) []string {
	var names []string
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	return slices.Sorted(slices.Values(names))
}
