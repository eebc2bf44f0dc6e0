// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// The leader is stopped as a machine may stop it, for longer than its lease lasts.
// When it goes on it believes to lead, and what it has not read yet are changes that
// have been made and unmade meanwhile.
func TestALeaderThatWasStoppedNeverPushesBackwards(t *testing.T) {
	r := newRoom(t, "e2e-leader", 1)
	p := r.proxy("echo", nil)
	clients := r.talk(p, 50)
	old := r.leader(nil)
	restarts := old.Status.ContainerStatuses[0].RestartCount
	goOn := stop(t, old)
	r.patch(p, `{"spec":{"settings":{"maxRetries":5}}}`)
	next := r.leader(old)
	first := r.programmed(p)
	r.patch(p, `{"spec":{"settings":{"maxRetries":6}}}`)
	version := r.programmed(p)
	if number(version) <= number(first) {
		t.Errorf("the version went from %s to %s", first, version)
	}

	goOn()
	eventually(t, time.Minute, "the former leader to have noticed that it does not lead", func(ctx context.Context) error {
		if err := r.Get(ctx, client.ObjectKeyFromObject(old), old); err != nil {
			return err
		}
		if n := old.Status.ContainerStatuses[0].RestartCount; n == restarts {
			return fmt.Errorf("%s has been restarted %d times", old.Name, n)
		}
		return nil
	})
	if now := r.leader(nil); now.Name != next.Name {
		t.Errorf("%s leads, and %s did", now.Name, next.Name)
	}
	r.heard(clients, time.Minute)
	if now := r.programmed(p); now != version {
		t.Errorf("the version went from %s to %s", version, now)
	}
	for _, pod := range r.pods(p.Name) {
		r.inForce(&pod, version)
		versions := r.accepted(&pod)
		for i, v := range versions[1:] {
			if v <= versions[i] {
				t.Errorf("pod %s accepted the versions %v", pod.Name, versions)
			}
		}
		if last := versions[len(versions)-1]; strconv.Itoa(last) != version {
			t.Errorf("pod %s accepted version %d last, want %s", pod.Name, last, version)
		}
	}
	report := clients.Stop(t.Context())
	if err := errors.Join(report.CheckOpen(), report.CheckAll()); err != nil {
		t.Error(err)
	}
}

// leader waits for an operator to lead, another one than the given, and returns it.
func (r *room) leader(notThis *corev1.Pod) *corev1.Pod {
	r.t.Helper()
	pod := &corev1.Pod{}
	eventually(r.t, time.Minute, "a leader", func(ctx context.Context) error {
		lease := &coordinationv1.Lease{}
		if err := r.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorName}, lease); err != nil {
			return err
		}
		if lease.Spec.HolderIdentity == nil {
			return errors.New("nobody leads")
		}
		name, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
		if notThis != nil && name == notThis.Name {
			return fmt.Errorf("%s still leads", name)
		}
		return r.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: name}, pod)
	})
	return pod
}

// accepted returns the versions that a pod says it put in force, in their order.
func (r *room) accepted(pod *corev1.Pod) []int {
	r.t.Helper()
	var versions []int
	for line := range strings.Lines(mustKubectl(r.t, "", "-n", r.namespace, "logs", pod.Name)) {
		var said struct {
			Msg     string
			Version int
		}
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "Configuration applied" {
			versions = append(versions, said.Version)
		}
	}
	if len(versions) == 0 {
		r.t.Fatalf("pod %s does not say what it accepted", pod.Name)
	}
	return versions
}

// pushed returns how many pushes the leading operator counts, by result.
func (r *room) pushed() map[string]float64 {
	r.t.Helper()
	leader := r.leader(nil)
	counts := map[string]float64{}
	for _, result := range []string{"applied", "skipped", "failed"} {
		page, err := scrape(r.t.Context(), fmt.Sprintf("http://%s:8080/metrics", leader.Status.PodIP))
		if err != nil {
			r.t.Fatal(err)
		}
		name := fmt.Sprintf(`wsproxy_pushes_total{result="%s"} `, result)
		_, rest, found := strings.Cut(page, "\n"+name)
		if !found {
			r.t.Fatalf("operator %s publishes no %s", leader.Name, name)
		}
		value, _, _ := strings.Cut(rest, "\n")
		counts[result] = number(value)
	}
	return counts
}

// TestManyChangesInARowCloseNobodyAndEachIsPushedOnceToEachPod is hack/bench/push on
// a small scale.
func TestManyChangesInARowCloseNobodyAndEachIsPushedOnceToEachPod(t *testing.T) {
	const replicas, changes = 4, 20
	r := newRoom(t, "e2e-changes", 1)
	p := r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) { spec.Replicas = new(int32(replicas)) })
	r.programmed(p)
	r.spread(p)
	clients := r.talk(p, 300)
	r.heard(clients, time.Minute)
	before, accepted := r.pushed(), map[string]int{}
	for _, pod := range r.pods(p.Name) {
		accepted[pod.Name] = len(r.accepted(&pod))
	}
	start := time.Now()
	for i := range changes {
		r.patch(p, fmt.Sprintf(`{"spec":{"settings":{"connectTimeout":%d,"autoReconnect":%t}}}`, 100+i, i%2 == 0))
		r.programmed(p)
	}
	t.Logf("%d changes, one after the other was acknowledged, took %v", changes, time.Since(start).Round(time.Millisecond))
	// What changes nothing is looked at, and not pushed.
	mustKubectl(t, "", "-n", r.namespace, "annotate", "configmap", p.Name+"-wsproxy", "somebody=was-here")
	r.programmed(p)
	for _, pod := range r.pods(p.Name) {
		if got := len(r.accepted(&pod)) - accepted[pod.Name]; got != changes {
			t.Errorf("pod %s accepted %d configurations, want %d", pod.Name, got, changes)
		}
	}
	after := r.pushed()
	t.Logf("pushes were %v and are %v", before, after)
	if got := after["applied"] - before["applied"]; got != replicas*changes {
		t.Errorf("%v were pushed, want %d to each of %d pods", got, changes, replicas)
	}
	if after["skipped"] <= before["skipped"] {
		t.Error("none is counted as skipped")
	}
	r.heard(clients, time.Minute)
	report := clients.Stop(t.Context())
	if err := errors.Join(report.CheckOpen(), report.CheckAll()); err != nil {
		t.Error(err)
	}
}
