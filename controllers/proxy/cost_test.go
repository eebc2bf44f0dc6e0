// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/push"
)

// scales is a cluster that keeps the deletion costs of pods.
type scales struct {
	client.Client
	err  error
	cost map[string]string
	uids map[string]types.UID
}

func (s *scales) Patch(_ context.Context, o client.Object, patch client.Patch, _ ...client.PatchOption) error {
	raw, err := patch.Data(o)
	var said metav1.PartialObjectMetadata
	if err := errors.Join(s.err, err, json.Unmarshal(raw, &said)); err != nil {
		return err
	}
	s.cost[o.GetName()], s.uids[o.GetName()] = said.Annotations[corev1.PodDeletionCost], said.UID
	return nil
}

func TestTheDeletionCostOfAPodIsKeptUpRoughly(t *testing.T) {
	for _, c := range []struct {
		before, now    int64
		roughly, exact bool
	}{
		{0, 0, false, false},
		{0, 8, false, true},
		{0, 9, true, true},
		{9, 0, true, true},
		{8, 0, false, true},
		{1000, 1250, false, true},
		{1000, 1251, true, true},
		{1000, 750, false, true},
		{1000, 749, true, true},
		{-7, 0, false, true},
	} {
		if roughly, exact := costChanged(c.before, c.now, false), costChanged(c.before, c.now, true); roughly != c.roughly || exact != c.exact {
			t.Errorf("from %d to %d: %v, and exactly %v", c.before, c.now, roughly, exact)
		}
	}
}

func TestPodsAreWeighedSeldomUntilSomeAreTakenAway(t *testing.T) {
	cluster := &scales{}
	r := &Reconciler{Client: cluster}
	key := types.NamespacedName{Namespace: "shop", Name: "chat"}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	has := map[string]int64{}
	// weigh is a reconciliation after some time, in which the pods have so many connections.
	weigh := func(after time.Duration, connections map[string]int64, change func(*work)) (map[string]string, time.Duration) {
		t.Helper()
		cluster.cost, cluster.uids = map[string]string{}, map[string]types.UID{}
		now = now.Add(after)
		w := &work{key: key, now: now, proxy: &wsproxyv1alpha1.WebSocketProxy{}, deployment: deployed(as)}
		for _, name := range []string{"a", "b"} {
			w.pods = append(w.pods, observedPod{name: name, uid: types.UID("uid-" + name), cost: has[name], pushed: push.Pod{Version: 1, Connections: connections[name]}})
		}
		if change != nil {
			change(w)
		}
		if err := r.weigh(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		for name, uid := range cluster.uids {
			if uid != types.UID("uid-"+name) {
				t.Errorf("the cost of %s is written to %s", name, uid)
			}
		}
		return cluster.cost, w.requeue
	}
	expect := func(what string, got map[string]string, requeue time.Duration, want map[string]string, wantRequeue time.Duration) {
		t.Helper()
		if !maps.Equal(got, want) || requeue != wantRequeue {
			t.Errorf("%s: %v is written, and the next look is after %v; want %v and %v", what, got, requeue, want, wantRequeue)
		}
	}

	got, requeue := weigh(0, map[string]int64{"a": 100, "b": 100}, func(w *work) {
		w.pods[0].pushed.Version, w.pods[1].leaving = 0, true
	})
	expect("neither has answered and stays", got, requeue, nil, 0)
	got, requeue = weigh(0, map[string]int64{"a": 100, "b": 5}, nil)
	expect("at first", got, requeue, map[string]string{"a": "100"}, 0)
	// The cache is behind.
	got, requeue = weigh(time.Second, map[string]int64{"a": 100, "b": 5}, nil)
	expect("before the cache has heard of it", got, requeue, nil, costInterval-time.Second)
	has["a"] = 100
	got, requeue = weigh(time.Second, map[string]int64{"a": 120, "b": 12}, nil)
	expect("little has changed", got, requeue, map[string]string{"b": "12"}, 0)
	has["b"] = 12
	got, requeue = weigh(8*time.Second, map[string]int64{"a": 200, "b": 200}, nil)
	expect("much has changed a moment later", got, requeue, nil, 20*time.Second)
	got, requeue = weigh(0, map[string]int64{"a": 201, "b": 200}, func(w *work) { w.proxy.Spec.Replicas = new(int32(1)) })
	expect("one of them is to go", got, requeue, map[string]string{"a": "201", "b": "200"}, 0)
	has["a"], has["b"] = 201, 200
	got, requeue = weigh(costInterval-1, map[string]int64{"a": 1 << 40, "b": -1}, nil)
	expect("a moment before it may be written again", got, requeue, nil, 1)
	got, requeue = weigh(1, map[string]int64{"a": 1 << 40, "b": -1}, nil)
	expect("what no pod can have", got, requeue, map[string]string{"a": "2147483647", "b": "0"}, 0)

	// Whoever may not write to pods asks no more often than who may.
	cluster.err = errors.New("no")
	has["a"], has["b"] = 0, 0
	got, requeue = weigh(costInterval, map[string]int64{"a": 50, "b": 0}, nil)
	expect("a refusal", got, requeue, nil, 0)
	cluster.err = nil
	got, requeue = weigh(time.Second, map[string]int64{"a": 50, "b": 0}, nil)
	expect("right after a refusal", got, requeue, nil, costInterval-time.Second)
	if len(r.weighed[key]) != 2 {
		t.Errorf("it remembers %v", r.weighed)
	}
}
